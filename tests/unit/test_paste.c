/* paste: what one Enter sends, line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/terminal/paste.h"

#define LINES_MAX 4

static const struct {
    const char *text;
    const char *lines[LINES_MAX]; /* up to the first NULL */
    size_t requests;              /* the lines before one that means quit */
    bool is_quitting;
    size_t literal; /* the requests with --literal */
} table[] = {
    {"", {""}, 1, false, 1},
    {"one", {"one"}, 1, false, 1},
    {"one\n", {"one"}, 1, false, 1},
    {"\n", {""}, 1, false, 1},
    {"one\ntwo", {"one", "two"}, 2, false, 2},
    {"one\n\ntwo\n", {"one", "", "two"}, 3, false, 3},
    {"one\n\n", {"one", ""}, 2, false, 2},
    {"quit", {"quit"}, 0, true, 1},
    {"one\nquit\ntwo", {"one", "quit", "two"}, 1, true, 3},
    {"one\n--QUIT-- ", {"one", "--QUIT-- "}, 1, true, 2},
    {"quit \nquits\nQuit", {"quit ", "quits", "Quit"}, 3, false, 3},
    {"\\quit", {"\\quit"}, 1, false, 1},
};

static void test_lines(void **state)
{
    (void) state;
    struct paste paste = {0};
    struct paste_line line;
    assert_false(paste_peek(&paste, &line));
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        paste_set(&paste, strdup(table[i].text));
        for (size_t j = 0; j < LINES_MAX && table[i].lines[j]; j++) {
            assert_true(paste_peek(&paste, &line));
            assert_int_equal(line.size, strlen(table[i].lines[j]));
            assert_memory_equal(line.text, table[i].lines[j], line.size);
            paste_take(&paste);
        }
        assert_false(paste_peek(&paste, &line));
    }
    paste_fini(&paste);
}

static void test_lines_put_back(void **state)
{
    (void) state;
    static const struct {
        const char *request, *left, *text;
    } cases[] = {
        {"one", NULL, "one"},   {"one", "two\n", "one\ntwo\n"}, {"", "two", "\ntwo"},
        {"\\x", NULL, "\\\\x"}, {"quit", "x", "\\quit\nx"},     {"quits", NULL, "quits"},
    };
    char *no_messages[] = {NULL};
    struct options options = {.messages = no_messages};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct paste paste = {0};
        struct buffer text = {0};
        paste_set(&paste, cases[i].left ? strdup(cases[i].left) : NULL);
        assert_true(paste_append(&text, &options, cases[i].request, strlen(cases[i].request)));
        assert_true(paste_put_back(&paste, &text));
        assert_string_equal(paste.next, cases[i].text);
        buffer_fini(&text);
        paste_fini(&paste);
    }
}

static void test_dropped_lines_are_gone(void **state)
{
    (void) state;
    struct paste paste = {0};
    struct paste_line line;
    paste_set(&paste, strdup("one\ntwo"));
    paste_take(&paste);
    paste_drop(&paste);
    assert_false(paste_peek(&paste, &line));
    paste_set(&paste, strdup("three"));
    assert_true(paste_peek(&paste, &line));
    paste_fini(&paste);
    assert_false(paste_peek(&paste, &line));
}

static size_t visited;

static void visit(const struct paste_line *line)
{
    (void) line;
    visited++;
}

static void test_walk(void **state)
{
    (void) state;
    struct options options = {0};
    struct options literal = {.is_literal = true};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct paste paste = {.next = table[i].text};
        size_t count = SIZE_MAX;
        visited = 0;
        assert_int_equal(paste_walk(&paste, &options, visit, &count), table[i].is_quitting);
        assert_int_equal(count, table[i].requests);
        assert_int_equal(visited, table[i].requests);
        assert_false(paste_walk(&paste, &literal, NULL, &count));
        assert_int_equal(count, table[i].literal);
        assert_ptr_equal(paste.next, table[i].text); /* it takes nothing */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_lines_put_back),
        cmocka_unit_test(test_dropped_lines_are_gone),
        cmocka_unit_test(test_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
