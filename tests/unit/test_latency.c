/*
 * test_latency: times in their buckets, against the times themselves.
 */
#include "common/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/histogram.h"

#define SECOND INT64_C(1000000000)

static struct latency_counter counter;
static struct latency sum;

static void count(int64_t nanoseconds, uint64_t times)
{
    latency_add(&counter, nanoseconds, times);
}

static void take_sum(void)
{
    memset(&sum, 0, sizeof sum);
    latency_sum(&sum, &counter);
}

static int begin(void **state)
{
    (void) state;
    memset(&counter, 0, sizeof counter);
    return 0;
}

static void bounds_belong_to_what_is_below(void **state)
{
    (void) state;
    static const struct {
        int64_t nanoseconds;
        int power; /* the least that it does not exceed */
    } rows[] = {
        {-5, -30},
        {0, -30},
        {61035, -14}, /* 61035.15625 */
        {61036, -13},
        {244140, -12},
        {244141, -11},
        {1953125, -9},
        {1953126, -8},
        {SECOND / 2, -1},
        {SECOND / 2 + 1, 0},
        {SECOND, 0},
        {SECOND + 1, 1},
        {32 * SECOND, 5},
        {32 * SECOND + 1, 6},
        {2048 * SECOND, 11},
        {2048 * SECOND + 1, 12},
        {INT64_MAX, 12},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(NULL);
        count(rows[i].nanoseconds, 3);
        take_sum();
        assert_int_equal(sum.count, 3);
        for (int power = LATENCY_LEAST_POWER; power < LATENCY_MOST_POWER; power++)
            assert_int_equal(latency_up_to(&sum, power), power >= rows[i].power ? 3 : 0);
    }
}

static void times_are_summed(void **state)
{
    (void) state;
    count(1000, 5);
    count(-1, 7);
    count(3 * SECOND, 2);
    take_sum();
    assert_int_equal(sum.count, 14);
    assert_int_equal(sum.nanoseconds, 5000 + 6 * SECOND);
}

static void what_was_before_is_taken_away(void **state)
{
    (void) state;
    struct latency before = {0};
    count(1000, 5);
    latency_sum(&before, &counter);
    count(2000, 1);
    take_sum();
    latency_subtract(&sum, &before);
    assert_int_equal(sum.count, 1);
    assert_int_equal(sum.nanoseconds, 2000);
    assert_in_range(latency_quantile_ns(&sum, HISTOGRAM_WHOLE / 2), 2000, 2125);
}

static void several_counters_are_one_sum(void **state)
{
    (void) state;
    count(1000, 5);
    take_sum();
    latency_sum(&sum, &counter);
    assert_int_equal(sum.count, 10);
    assert_int_equal(sum.nanoseconds, 10000);
}

static void quantiles_are_a_sixteenth_too_high_at_most(void **state)
{
    (void) state;
    take_sum();
    assert_int_equal(latency_quantile_ns(&sum, HISTOGRAM_WHOLE), 0);
    for (int64_t at = 1; at < 1000 * SECOND; at += at / 7 + 1) {
        begin(NULL);
        count(at, 1);
        count(2000 * SECOND, 1);
        take_sum();
        int64_t seen = (int64_t) latency_quantile_ns(&sum, HISTOGRAM_WHOLE / 2);
        assert_in_range(seen, at, at + at / 16 + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bounds_belong_to_what_is_below, begin),
        cmocka_unit_test_setup(times_are_summed, begin),
        cmocka_unit_test_setup(what_was_before_is_taken_away, begin),
        cmocka_unit_test_setup(several_counters_are_one_sum, begin),
        cmocka_unit_test_setup(quantiles_are_a_sixteenth_too_high_at_most, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
