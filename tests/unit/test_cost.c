/*
 * test_cost: what a call tells of its session. Only the thread's own processor time counts; but a
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
#include "server/engine/cost.h"

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
static enum cost measured(int64_t cpu_ms, long asleep_ms, enum cost before)
{
    struct call_sample sample;
    call_sample_begin(&sample);
    compute(cpu_ms);
    if (asleep_ms > 0)
        sleep_ms(asleep_ms);
    return call_sample_end(&sample, before);
}

/* A call that was seen from outside when it was under way. */
static enum cost seen(int64_t cpu_ms, bool has_waited, enum cost before)
{
    struct call_sample sample;
    call_sample_describe(&sample, pthread_self(), clock_ns(CLOCK_THREAD_CPUTIME_ID), has_waited);
    compute(cpu_ms);
    return call_sample_end(&sample, before);
}

#define assert_tells(call, expected)                                                               \
    do {                                                                                           \
        enum cost told = (call);                                                                   \
        for (int tries = 1; told != (enum cost)(expected) && tries < 20; tries++)                  \
            told = (call);                                                                         \
        assert_int_equal(told, expected);                                                          \
    } while (0)

static void test_what_takes_next_to_nothing_is_quick(void **state)
{
    (void) state;
    assert_tells(measured(0, 0, COST_UNKNOWN), COST_QUICK);
    assert_tells(measured(0, 0, COST_SLEEPS), COST_QUICK);
    assert_tells(measured(0, 0, COST_COMPUTES + 6), COST_QUICK);
}

static void test_what_waits_sleeps(void **state)
{
    (void) state;
    assert_tells(measured(0, 5, COST_UNKNOWN), COST_SLEEPS);
    assert_tells(measured(0, 5, COST_COMPUTES), COST_SLEEPS);
    assert_tells(seen(0, true, COST_QUICK), COST_SLEEPS);
}

static void test_what_uses_the_processor_computes(void **state)
{
    (void) state;
    assert_tells(measured(17, 0, COST_UNKNOWN), COST_COMPUTES + 6);
    assert_tells(measured(5, 5, COST_QUICK), COST_COMPUTES + 4);
    assert_tells(seen(9, false, COST_QUICK), COST_COMPUTES + 5);
    assert_tells(seen(9, true, COST_QUICK), COST_COMPUTES + 5);
}

static void test_once_and_short_is_an_accident(void **state)
{
    (void) state;
    assert_tells(measured(2, 0, COST_UNKNOWN), COST_DOUBTED);
    assert_tells(seen(0, false, COST_QUICK), COST_DOUBTED);
    assert_tells(seen(2, false, COST_QUICK), COST_DOUBTED);
    assert_tells(seen(2, false, COST_DOUBTED), COST_COMPUTES + 3);
    assert_tells(measured(2, 0, COST_COMPUTES + 6), COST_COMPUTES + 3);
}

static void test_costs_are_powers_of_two(void **state)
{
    (void) state;
    assert_int_equal(cost_us(COST_COMPUTES), 250);
    assert_int_equal(cost_us(COST_COMPUTES + 1), 500);
    assert_int_equal(cost_us(COST_COMPUTES + 20), 250 << 20);
}

/* As many in a row as are needed after so many relapses. */
static void test_each_relapse_asks_for_twice_as_many_quick_ones(void **state)
{
    (void) state;
    static const unsigned needed[] = {1, 1, 2, 4, 8, 16};
    static const enum cost slow[] = {COST_SLEEPS, COST_COMPUTES, COST_COMPUTES + 8};
    for (unsigned i = 0; i < sizeof slow / sizeof slow[0]; i++)
        for (unsigned relapses = 0; relapses <= COST_MAX_RELAPSES; relapses++) {
            enum cost cost = slow[i];
            for (unsigned quick = 1; quick < needed[relapses]; quick++) {
                cost = cost_learn(cost, COST_QUICK, relapses);
                assert_true(cost > COST_DOUBTED && cost < COST_END); /* not in the loop */
                assert_int_equal(cost_class(cost), i ? COST_COMPUTES : COST_SLEEPS);
                assert_int_equal(cost_learn(cost, slow[i], relapses), slow[i]);
            }
            assert_int_equal(cost_learn(cost, COST_QUICK, relapses), COST_QUICK);
        }
}

static void test_those_that_were_never_slow_are_quick_at_once(void **state)
{
    (void) state;
    for (enum cost cost = COST_UNKNOWN; cost <= COST_DOUBTED; cost++) {
        assert_int_equal(cost_learn(cost, COST_QUICK, COST_MAX_RELAPSES), COST_QUICK);
        assert_int_equal(cost_learn(cost, COST_SLEEPS, COST_MAX_RELAPSES), COST_SLEEPS);
        assert_int_equal(cost_class(cost), cost);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_takes_next_to_nothing_is_quick),
        cmocka_unit_test(test_what_waits_sleeps),
        cmocka_unit_test(test_what_uses_the_processor_computes),
        cmocka_unit_test(test_once_and_short_is_an_accident),
        cmocka_unit_test(test_costs_are_powers_of_two),
        cmocka_unit_test(test_each_relapse_asks_for_twice_as_many_quick_ones),
        cmocka_unit_test(test_those_that_were_never_slow_are_quick_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
