/* status_line: the words for a wait, when they change, and what is drawn. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/status_line.h"

static const struct {
    int64_t waited_ms;
    const char *text; /* NULL: nothing yet */
    int next_ms;
} waits[] = {
    {0, NULL, 200},
    {1, NULL, 199},
    {199, NULL, 1},
    {200, "Waiting 0.2 s; hint", 100},
    {299, "Waiting 0.2 s; hint", 1},
    {300, "Waiting 0.3 s; hint", 100},
    {1234, "Waiting 1.2 s; hint", 66},
    {9999, "Waiting 9.9 s; hint", 1},
    {10000, "Waiting 10 s; hint", 1000},
    {10001, "Waiting 10 s; hint", 999},
    {59999, "Waiting 59 s; hint", 1},
    {60000, "Waiting 1:00; hint", 1000},
    {61500, "Waiting 1:01; hint", 500},
    {3600000, "Waiting 60:00; hint", 1000},
};

static void test_words(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        char text[STATUS_LINE_TEXT_SIZE] = "";
        size_t size = status_line_wait_text(waits[i].waited_ms, "Waiting", "hint", text);
        assert_int_equal(size, waits[i].text ? strlen(waits[i].text) : 0);
        assert_string_equal(text, waits[i].text ? waits[i].text : "");
        assert_int_equal(status_line_next_ms(waits[i].waited_ms), waits[i].next_ms);
    }
}

/* The text is the same until then, and another one then. */
static void test_changes_when_it_says_so(void **state)
{
    (void) state;
    char before[STATUS_LINE_TEXT_SIZE] = "";
    char after[STATUS_LINE_TEXT_SIZE] = "";
    for (int64_t at = 0, steps = 0; steps < 300; steps++) {
        int64_t next = at + status_line_next_ms(at);
        status_line_wait_text(at, "Waiting", "hint", before);
        status_line_wait_text(next - 1, "Waiting", "hint", after);
        assert_string_equal(before, after);
        status_line_wait_text(next, "Waiting", "hint", after);
        assert_string_not_equal(before, after);
        at = next;
    }
}

static void test_long_words_are_cut(void **state)
{
    (void) state;
    char text[STATUS_LINE_TEXT_SIZE];
    char hint[300];
    memset(hint, 'x', sizeof hint - 1);
    hint[sizeof hint - 1] = '\0';
    assert_int_equal(status_line_wait_text(1000, "Waiting", hint, text), STATUS_LINE_TEXT_SIZE - 1);
    assert_int_equal(strlen(text), STATUS_LINE_TEXT_SIZE - 1);
}

/* Each draw, and what the terminal gets. A pipe has no width: 80 columns, the last one unused. */
static const struct {
    const char *text; /* NULL: erase */
    const char *bytes;
} draws[] = {
    {NULL, ""},
    {"abc", "\r\rabc"},
    {"abcdef", "\r     \rabcdef"},
    {"a", "\r        \ra"},
    {NULL, "\r   \r"},
    {NULL, ""},
    {"b", "\r\rb"},
};

static void test_draws(void **state)
{
    (void) state;
    struct status_line line = {0};
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    for (size_t i = 0; i < sizeof draws / sizeof draws[0]; i++) {
        char bytes[200] = "";
        if (draws[i].text)
            status_line_draw(&line, ends[1], draws[i].text, strlen(draws[i].text));
        else
            status_line_erase(&line, ends[1]);
        if (read(ends[0], bytes, sizeof bytes - 1) < 0)
            assert_int_equal(errno, EAGAIN);
        assert_string_equal(bytes, draws[i].bytes);
    }
    close(ends[0]);
    close(ends[1]);
}

static void test_no_draw_reaches_the_last_column(void **state)
{
    (void) state;
    struct status_line line = {0};
    char text[300];
    char bytes[300];
    int ends[2];
    memset(text, 'x', sizeof text);
    assert_int_equal(pipe(ends), 0);
    status_line_draw(&line, ends[1], text, sizeof text);
    assert_int_equal(read(ends[0], bytes, sizeof bytes), strlen("\r\r") + 79);
    status_line_erase(&line, ends[1]);
    assert_int_equal(read(ends[0], bytes, sizeof bytes), strlen("\r\r") + 79);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_changes_when_it_says_so),
        cmocka_unit_test(test_long_words_are_cut),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_no_draw_reaches_the_last_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
