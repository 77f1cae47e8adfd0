/* reflow: which terminals do it, and in which row the cursor is then. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/terminal/reflow.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_rows(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        size_t columns;
        size_t rows;
    } cases[] = {
        {"", 10, 0},
        {"-> abc", 10, 0},
        {"0123456789", 10, 0}, /* the cursor waits in the last column */
        {"0123456789a", 10, 1},
        {"01234567890123456789a", 10, 2},
        {"abc\ndef", 10, 1},
        {"\n\n", 10, 2},
        {"0123456789a\nb", 10, 2},
        {"\u4f60\u597d", 4, 0},
        {"\u4f60\u597dx", 4, 1},
        {"x\u4f60\u597d", 4, 1}, /* the second one does not fit */
        {"eeeee\u0301", 5, 0},
        {"ab\tc", 9, 0},
        {"ab\tcd", 9, 1},
        {"a\001b", 4, 0}, /* ^A */
        {"ab\001b", 4, 1},
        {"\xff\xfe\xe4", 3, 0},
        {"\xff\xfe\xe4x", 3, 1},
        {"abc", 1, 2},
        {"\u4f60", 1, 0},
    };
    static const struct {
        const char *text;
        size_t before;
        size_t now;
        size_t rows;
    } full[] = {
        {"0123456789", 10, 10, 1}, {"0123456789", 10, 5, 2}, {"0123456789", 5, 10, 1},
        {"0123456789", 10, 20, 0}, {"0123456789", 10, 4, 2}, {"0123456789", 20, 5, 1},
        {"ab\n01234", 5, 5, 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("# %s\n", cases[i].text);
        assert_int_equal(reflow_rows(cases[i].text, strlen(cases[i].text), 1000, cases[i].columns),
                         cases[i].rows);
    }
    for (size_t i = 0; i < COUNT(full); i++)
        assert_int_equal(
            reflow_rows(full[i].text, strlen(full[i].text), full[i].before, full[i].now),
            full[i].rows);
}

static void test_terminals(void **state)
{
    (void) state;
    static const char *const names[] = {"TERM",          "TMUX", "VTE_VERSION", "KONSOLE_VERSION",
                                        "XTERM_VERSION", "STY"};
    static const struct {
        const char *term;
        const char *set;   /* another variable, or NULL */
        const char *other; /* and one more */
        bool is_known;
    } cases[] = {
        {"tmux-256color", NULL, NULL, true},
        {"screen-256color", "TMUX", NULL, true},
        {"screen", NULL, NULL, false},
        {"screen", "TMUX", "STY", false},
        {"xterm-256color", NULL, NULL, false},
        {"xterm-256color", "VTE_VERSION", NULL, true},
        {"xterm-256color", "KONSOLE_VERSION", NULL, true},
        {"xterm-256color", "VTE_VERSION", "XTERM_VERSION", false},
        {"xterm-256color", "TMUX", NULL, false},
        {"xterm-kitty", NULL, NULL, true},
        {"linux", "VTE_VERSION", NULL, false},
        {"dumb", "TMUX", NULL, false},
        {"", NULL, NULL, false},
        {NULL, NULL, NULL, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t name = 0; name < COUNT(names); name++)
            unsetenv(names[name]);
        if (cases[i].term)
            setenv("TERM", cases[i].term, 1);
        if (cases[i].set)
            setenv(cases[i].set, "1", 1);
        if (cases[i].other)
            setenv(cases[i].other, "1", 1);
        assert_int_equal(reflow_is_known(), cases[i].is_known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_terminals),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
