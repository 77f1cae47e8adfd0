/*
 * test_clock: the units, what a clock that can't be read gives, the shorter of two waits, the part
 * of one, and pauses.
 */
#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void a_millisecond_is_a_million_nanoseconds(void **state)
{
    (void) state;
    int64_t before = clock_ns(CLOCK_MONOTONIC);
    int64_t ms = clock_ms();
    int64_t after = clock_ns(CLOCK_MONOTONIC);
    assert_true(before > 0);
    assert_true(before / 1000000 <= ms && ms <= after / 1000000);
    assert_true(ms < CLOCK_NEVER);
}

static void a_clock_that_does_not_exist_is_zero(void **state)
{
    (void) state;
    assert_int_equal(clock_ns((clockid_t) INT_MAX), 0);
}

static void the_shorter_of_two_waits(void **state)
{
    (void) state;
    static const struct {
        int a, b, shorter;
    } rows[] = {
        {-1, -1, -1}, {-1, 0, 0}, {0, -1, 0}, {-1, 5, 5},
        {5, -1, 5},   {0, 5, 0},  {5, 0, 0},  {INT_MAX, -1, INT_MAX},
        {3, 4, 3},    {4, 3, 3},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (clock_shorter_ms(rows[i].a, rows[i].b) != rows[i].shorter)
            fail_msg("the shorter of %d and %d", rows[i].a, rows[i].b);
}

static void a_wait_is_a_part_of_what_is_left(void **state)
{
    (void) state;
    static const struct {
        int64_t left;
        int wait;
    } rows[] = {
        {INT64_MIN, 0}, {-1, 0},       {0, 0},
        {1, 1},         {400, 400},    {403, 403},
        {404, 101},     {30000, 7500}, {INT64_MAX, INT32_MAX},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (clock_part_ms(rows[i].left) != rows[i].wait)
            fail_msg("row %zu: %d", i, clock_part_ms(rows[i].left));
}

static void a_wait_that_ends_too_late_was_a_pause(void **state)
{
    (void) state;
    static const struct {
        int64_t now, at, paused;
    } rows[] = {
        {1000, CLOCK_NEVER, 0}, {1000, 1001, 0},  {1000, 1000, 0},
        {1000, 900, 0},         {1000, 899, 101}, {1000, 0, 1000},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(clock_paused_ms(rows[i].now, rows[i].at), rows[i].paused);
}

static void all_of_a_batch_that_takes_too_long_was_a_pause(void **state)
{
    (void) state;
    assert_int_equal(clock_batch_paused_ms(1000, 1000), 0);
    assert_int_equal(clock_batch_paused_ms(2000, 1000), 0);
    assert_int_equal(clock_batch_paused_ms(2001, 1000), 1001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_millisecond_is_a_million_nanoseconds),
        cmocka_unit_test(a_clock_that_does_not_exist_is_zero),
        cmocka_unit_test(the_shorter_of_two_waits),
        cmocka_unit_test(a_wait_is_a_part_of_what_is_left),
        cmocka_unit_test(a_wait_that_ends_too_late_was_a_pause),
        cmocka_unit_test(all_of_a_batch_that_takes_too_long_was_a_pause),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
