/*
 * test_pace: what a call tells of its session. Only the thread's own processor time counts; but a
 * virtual machine that is stopped may have that counted too, so each call may be made some times
 * until it tells what it should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/engine/pace.h"

static void compute(int64_t ms)
{
    int64_t end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000;
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
        continue;
}

static void sleep_ms(long ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000};
    while (nanosleep(&time, &time) != 0)
        continue;
}

/* A call that is measured from its beginning. */
static enum pace measured(int64_t cpu_ms, long asleep_ms, enum pace before)
{
    struct stint stint;
    stint_begin(&stint);
    compute(cpu_ms);
    if (asleep_ms > 0)
        sleep_ms(asleep_ms);
    return stint_end(&stint, before);
}

/* A call that was seen from outside when it was under way. */
static enum pace seen(int64_t cpu_ms, bool has_waited, enum pace before)
{
    struct stint stint;
    stint_describe(&stint, pthread_self(), clock_ns(CLOCK_THREAD_CPUTIME_ID), has_waited);
    compute(cpu_ms);
    return stint_end(&stint, before);
}

#define assert_tells(call, expected)                                                               \
    do {                                                                                           \
        enum pace told = (call);                                                                   \
        for (int tries = 1; told != (enum pace)(expected) && tries < 20; tries++)                  \
            told = (call);                                                                         \
        assert_int_equal(told, expected);                                                          \
    } while (0)

static void test_what_takes_next_to_nothing_is_quick(void **state)
{
    (void) state;
    assert_tells(measured(0, 0, PACE_UNKNOWN), PACE_QUICK);
    assert_tells(measured(0, 0, PACE_SLEEPS), PACE_QUICK);
    assert_tells(measured(0, 0, PACE_COMPUTES + 6), PACE_QUICK);
}

static void test_what_waits_sleeps(void **state)
{
    (void) state;
    assert_tells(measured(0, 5, PACE_UNKNOWN), PACE_SLEEPS);
    assert_tells(measured(0, 5, PACE_COMPUTES), PACE_SLEEPS);
    assert_tells(seen(0, true, PACE_QUICK), PACE_SLEEPS);
}

static void test_what_uses_the_processor_computes(void **state)
{
    (void) state;
    assert_tells(measured(17, 0, PACE_UNKNOWN), PACE_COMPUTES + 6);
    assert_tells(measured(5, 5, PACE_QUICK), PACE_COMPUTES + 4);
    assert_tells(seen(9, false, PACE_QUICK), PACE_COMPUTES + 5);
    assert_tells(seen(9, true, PACE_QUICK), PACE_COMPUTES + 5);
}

static void test_once_and_short_is_an_accident(void **state)
{
    (void) state;
    assert_tells(measured(2, 0, PACE_UNKNOWN), PACE_DOUBTED);
    assert_tells(seen(0, false, PACE_QUICK), PACE_DOUBTED);
    assert_tells(seen(2, false, PACE_QUICK), PACE_DOUBTED);
    assert_tells(seen(2, false, PACE_DOUBTED), PACE_COMPUTES + 3);
    assert_tells(measured(2, 0, PACE_COMPUTES + 6), PACE_COMPUTES + 3);
}

static void test_costs_are_powers_of_two(void **state)
{
    (void) state;
    assert_int_equal(pace_cost_us(PACE_COMPUTES), 250);
    assert_int_equal(pace_cost_us(PACE_COMPUTES + 1), 500);
    assert_int_equal(pace_cost_us(PACE_COMPUTES + 20), 250 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_takes_next_to_nothing_is_quick),
        cmocka_unit_test(test_what_waits_sleeps),
        cmocka_unit_test(test_what_uses_the_processor_computes),
        cmocka_unit_test(test_once_and_short_is_an_accident),
        cmocka_unit_test(test_costs_are_powers_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
