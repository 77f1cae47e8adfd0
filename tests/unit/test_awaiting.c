/* awaiting: the words, and when they change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/awaiting.h"

static const struct {
    int64_t waited_ms;
    const char *text; /* NULL: nothing yet */
    int next_ms;
} table[] = {
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

static void test_table(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[AWAITING_TEXT_SIZE] = "";
        const size_t size = awaiting_text(table[i].waited_ms, "Waiting", "hint", text);
        assert_int_equal(size, table[i].text ? strlen(table[i].text) : 0);
        assert_string_equal(text, table[i].text ? table[i].text : "");
        assert_int_equal(awaiting_next_ms(table[i].waited_ms), table[i].next_ms);
    }
}

/* The text is the same until then, and another one then. */
static void test_changes_when_it_says_so(void **state)
{
    (void) state;
    char before[AWAITING_TEXT_SIZE] = "";
    char after[AWAITING_TEXT_SIZE] = "";
    for (int64_t at = 0, steps = 0; steps < 300; steps++) {
        const int64_t next = at + awaiting_next_ms(at);
        awaiting_text(at, "Waiting", "hint", before);
        awaiting_text(next - 1, "Waiting", "hint", after);
        assert_string_equal(before, after);
        awaiting_text(next, "Waiting", "hint", after);
        assert_string_not_equal(before, after);
        at = next;
    }
}

static void test_long_words_are_cut(void **state)
{
    (void) state;
    char text[AWAITING_TEXT_SIZE];
    char hint[300];
    memset(hint, 'x', sizeof hint - 1);
    hint[sizeof hint - 1] = '\0';
    assert_int_equal(awaiting_text(1000, "Waiting", hint, text), AWAITING_TEXT_SIZE - 1);
    assert_int_equal(strlen(text), AWAITING_TEXT_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_changes_when_it_says_so),
        cmocka_unit_test(test_long_words_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
