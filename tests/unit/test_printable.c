/* printable: what a reply looks like at a terminal, in two locales. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/printable.h"

#define TEXT(text) text, sizeof text - 1

static const struct {
    const char *reply;
    size_t size;
    const char *utf8; /* in C.UTF-8 */
    const char *c;    /* in C; NULL: the same */
} table[] = {
    {TEXT(""), "", NULL},
    {TEXT("plain text, ~ too"), "plain text, ~ too", NULL},
    {TEXT("tab\tand\nline feed"), "tab\tand\nline feed", NULL},
    {TEXT("\r"), "\\x0d", NULL},
    {TEXT("a\033[2Jb"), "a\\x1b[2Jb", NULL},
    {TEXT("\0\1\x7f"), "\\x00\\x01\\x7f", NULL},
    {TEXT("\\x1b"), "\\x1b", NULL},
    {TEXT("gr\xc3\xbc\xc3\x9f dich"), "gr\xc3\xbc\xc3\x9f dich", "gr\\xc3\\xbc\\xc3\\x9f dich"},
    {TEXT("\xe4\xb8\xad"), "\xe4\xb8\xad", "\\xe4\\xb8\\xad"},
    /* A control character of C1, as a character and as a byte. */
    {TEXT("\xc2\x9b"), "\\xc2\\x9b", NULL},
    {TEXT("\x9b"), "\\x9b", NULL},
    /* Cut short, overlong, a surrogate; and a good character behind each. */
    {TEXT("\xc3"), "\\xc3", NULL},
    {TEXT("\xe4\xb8x"), "\\xe4\\xb8x", NULL},
    {TEXT("\xc0\xafx"), "\\xc0\\xafx", NULL},
    {TEXT("\xed\xa0\x80x"), "\\xed\\xa0\\x80x", NULL},
    {TEXT("\xff\xfex"), "\\xff\\xfex", NULL},
    /* A right-to-left override shows other text than was sent. */
    {TEXT("\xe2\x80\xae"
          "x"),
     "\\xe2\\x80\\xaex", NULL},
    {TEXT("a\u202eb\u2066"), "a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6", NULL},
    {TEXT("\u061c\u2028"), "\\xd8\\x9c\\xe2\\x80\\xa8", NULL},
};

static void check(const char *locale, bool is_utf8)
{
    if (!setlocale(LC_CTYPE, locale))
        skip();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buffer out = {0};
        const char *expected = is_utf8 || !table[i].c ? table[i].utf8 : table[i].c;
        assert_true(buffer_append(&out, "> ", 2)); /* it appends */
        assert_true(printable_append(&out, table[i].reply, table[i].size));
        assert_true(buffer_append(&out, "", 1));
        assert_string_equal(buffer_head(&out) + 2, expected);
        assert_memory_equal(buffer_head(&out), "> ", 2);
        buffer_fini(&out);
    }
}

static void test_utf8(void **state)
{
    (void) state;
    check("C.UTF-8", true);
}

static void test_c(void **state)
{
    (void) state;
    check("C", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
