/*
 * test_counter: one thread adds while another reads: a sum so far, never one that goes back.
 */
#include "common/counter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>

#include <cmocka.h>

enum { TIMES = 100000 };

static void *add(void *counter)
{
    for (uint64_t i = 0; i < TIMES; i++)
        counter_add(counter, i % 3);
    return NULL;
}

static void a_reader_sees_it_grow(void **state)
{
    (void) state;
    struct counter counter = {0};
    uint64_t sum = TIMES / 3 * 3; /* 0 + 1 + 2, again and again; the last one adds 0 */
    pthread_t thread;
    assert_int_equal(counter_get(&counter), 0);
    assert_int_equal(pthread_create(&thread, NULL, add, &counter), 0);
    for (uint64_t last = 0; last < sum;) {
        uint64_t now = counter_get(&counter);
        assert_true(now >= last && now <= sum);
        last = now;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(counter_get(&counter), sum);
}

static void it_holds_more_than_32_bits(void **state)
{
    (void) state;
    struct counter counter = {0};
    counter_add(&counter, UINT64_C(5000000000));
    counter_add(&counter, UINT64_C(5000000000));
    assert_true(counter_get(&counter) == UINT64_C(10000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_sees_it_grow),
        cmocka_unit_test(it_holds_more_than_32_bits),
    };
    return cmocka_run_group_tests_name("counter", tests, NULL, NULL);
}
