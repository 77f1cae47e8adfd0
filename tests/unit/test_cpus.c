/* test_cpus: those that the process may run on. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/engine/cpus.h"

/* Restricts the process to the first processor that it may run on. */
static cpu_set_t use_one(void)
{
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    size_t first = 0;
    while (!CPU_ISSET(first, &before))
        first++;
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    return before;
}

static void test_only_those_that_may_be_used_count(void **state)
{
    (void) state;
    const unsigned all = cpus_count();
    const int64_t idle_ns = cpus_idle_ns();
    assert_true(idle_ns > 0);
    const cpu_set_t before = use_one();
    assert_int_equal(CPU_COUNT(&before), all);
    assert_int_equal(cpus_count(), 1);
    if (all > 1)
        assert_true(cpus_idle_ns() < idle_ns);
    sched_setaffinity(0, sizeof before, &before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_those_that_may_be_used_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
