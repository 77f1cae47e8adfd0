/* stopwatch: times as text, and what a batch keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/stopwatch.h"

static const struct {
    int64_t ns;
    const char *text;
} times[] = {
    {0, "0.000 ms"},
    {499, "0.000 ms"},
    {1000, "0.001 ms"},
    {214000, "0.214 ms"},
    {12345678, "12.346 ms"},
    {1000000000, "1000.000 ms"},
    {3600000000000, "3600000.000 ms"},
};

static void test_text(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char text[STOPWATCH_TEXT_SIZE];
        assert_ptr_equal(stopwatch_text(times[i].ns, text), text);
        assert_string_equal(text, times[i].text);
    }
}

static void test_summary(void **state)
{
    (void) state;
    struct stopwatch stopwatch;
    char text[STOPWATCH_SUMMARY_SIZE];
    assert_true(stopwatch_init(&stopwatch, true, NULL));
    assert_true(stopwatch_runs(&stopwatch));
    assert_false(stopwatch_summary(&stopwatch, text));
    stopwatch_add(&stopwatch, 5000000);
    assert_true(stopwatch_summary(&stopwatch, text));
    assert_string_equal(text, "1 reply: min 5.000 ms, median 5.000 ms, p99 5.000 ms, max 5.000 ms");
    stopwatch_add(&stopwatch, 1000000);
    assert_true(stopwatch_summary(&stopwatch, text));
    assert_memory_equal(text, "2 replies: min 1.000 ms, ", 25);
    assert_non_null(strstr(text, ", max 5.000 ms"));
    stopwatch_fini(&stopwatch);
    assert_false(stopwatch_summary(&stopwatch, text));
}

static void test_one_that_is_not_wanted_does_nothing(void **state)
{
    (void) state;
    struct stopwatch stopwatch;
    char text[STOPWATCH_SUMMARY_SIZE];
    assert_true(stopwatch_init(&stopwatch, false, "input line"));
    assert_false(stopwatch_runs(&stopwatch));
    stopwatch_read_clock(&stopwatch);
    assert_true(stopwatch_asked(&stopwatch));
    stopwatch_answered(&stopwatch);
    assert_false(stopwatch_has_lines(&stopwatch));
    assert_false(stopwatch_summary(&stopwatch, text));
    stopwatch_fini(&stopwatch);
}

/* The clock stands still between two readings, so the times are known. */
static void test_lines_of_a_batch(void **state)
{
    (void) state;
    struct stopwatch stopwatch;
    assert_true(stopwatch_init(&stopwatch, true, "input line"));
    stopwatch_read_clock(&stopwatch);
    assert_true(stopwatch_asked(&stopwatch));
    assert_true(stopwatch_asked(&stopwatch));
    stopwatch.now_ns += 2000000;
    stopwatch_answered(&stopwatch);
    assert_true(stopwatch_has_lines(&stopwatch));
    assert_false(stopwatch_has_many(&stopwatch));
    stopwatch.now_ns += 3000000;
    stopwatch_answered(&stopwatch);
    assert_true(buffer_append(&stopwatch.lines, "", 1));
    assert_string_equal(buffer_head(&stopwatch.lines), "banter: input line 1: 2.000 ms\n"
                                                       "banter: input line 2: 5.000 ms\n");
    stopwatch_fini(&stopwatch);
    assert_false(stopwatch_has_lines(&stopwatch));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_one_that_is_not_wanted_does_nothing),
        cmocka_unit_test(test_lines_of_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
