/* stamp: times as text, and what is a change of the clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/log/stamp.h"

#define SECOND INT64_C(1000000000)

static void assert_stamp(struct log_stamp *stamp, int64_t time_ns, const char *expected)
{
    char text[LOG_STAMP_BYTES];
    *log_stamp_put(stamp, text, time_ns) = '\0';
    assert_string_equal(text, expected);
}

static void times(void **state)
{
    (void) state;
    static const struct {
        int64_t time_ns;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {999999999, "1970-01-01T00:00:00.999999Z"},
        {1764112968 * SECOND + 123456789, "2025-11-25T23:22:48.123456Z"},
        {1764112968 * SECOND + 999, "2025-11-25T23:22:48.000000Z"},
        {951782400 * SECOND, "2000-02-29T00:00:00.000000Z"},
        {4102444799 * SECOND, "2099-12-31T23:59:59.000000Z"},
    };
    struct log_stamp stamp = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_stamp(&stamp, rows[i].time_ns, rows[i].text);
}

static void only_a_clock_that_was_set_changes_the_offset(void **state)
{
    (void) state;
    struct log_stamp stamp = {0};
    log_stamp_adjust(&stamp, 1000, SECOND + 1050, 1100);
    assert_stamp(&stamp, 0, "1970-01-01T00:00:01.000000Z");
    log_stamp_adjust(&stamp, 2000, SECOND + 2010, 2100); /* the same, looked at less closely */
    log_stamp_adjust(&stamp, 3000, SECOND + 3000, 9000);
    assert_int_equal(stamp.offset_ns, SECOND);
    log_stamp_adjust(&stamp, 4000, 3 * SECOND + 4000, 4000);
    assert_stamp(&stamp, 0, "1970-01-01T00:00:03.000000Z");
    log_stamp_adjust(&stamp, 5000, 2 * SECOND + 5000, 5000);
    assert_stamp(&stamp, 0, "1970-01-01T00:00:02.000000Z");
}

static void looking_gives_the_time_of_day(void **state)
{
    (void) state;
    struct log_stamp stamp = {0};
    log_stamp_look(&stamp);
    int64_t offset_ns = stamp.offset_ns;
    assert_true(offset_ns > 0);
    for (int i = 0; i < 1000; i++)
        log_stamp_look(&stamp);
    assert_true(stamp.offset_ns - offset_ns < SECOND && offset_ns - stamp.offset_ns < SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times),
        cmocka_unit_test(only_a_clock_that_was_set_changes_the_offset),
        cmocka_unit_test(looking_gives_the_time_of_day),
    };
    return cmocka_run_group_tests_name("log_stamp", tests, NULL, NULL);
}
