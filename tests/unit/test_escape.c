/* escape: what may be shown, how the rest is shown, and where long text is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/escape.h"

#define BYTES(literal) (literal), (sizeof(literal) - 1)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEN "0123456789"
#define EIGHTY TEN TEN TEN TEN TEN TEN TEN TEN

static void utf8_is_decoded_strictly(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        size_t size;
        size_t length; /* 0: no character */
        uint32_t character;
    } rows[] = {
        {BYTES("\xc2\x80"), 2, 0x80},
        {BYTES("\xc3\x9f..."), 2, 0xdf},
        {BYTES("\xdf\xbf"), 2, 0x7ff},
        {BYTES("\xe0\xa0\x80"), 3, 0x800},
        {BYTES("\xed\x9f\xbf"), 3, 0xd7ff},
        {BYTES("\xee\x80\x80"), 3, 0xe000},
        {BYTES("\xef\xbf\xbf"), 3, 0xffff},
        {BYTES("\xf0\x90\x80\x80"), 4, 0x10000},
        {BYTES("\xf4\x8f\xbf\xbf"), 4, 0x10ffff},
        {BYTES("\x80"), 0, 0}, /* a continuation alone */
        {BYTES("\xbf\xbf"), 0, 0},
        {BYTES("\xc3"), 0, 0}, /* cut */
        {BYTES("\xe2\x82"), 0, 0},
        {BYTES("\xf0\x9f\x98"), 0, 0},
        {BYTES("\xc3x"), 0, 0},
        {BYTES("\xe2\x82\xc2"), 0, 0},
        {BYTES("\xc0\x80"), 0, 0}, /* overlong */
        {BYTES("\xc1\xbf"), 0, 0},
        {BYTES("\xe0\x9f\xbf"), 0, 0},
        {BYTES("\xf0\x8f\xbf\xbf"), 0, 0},
        {BYTES("\xed\xa0\x80"), 0, 0}, /* surrogates */
        {BYTES("\xed\xbf\xbf"), 0, 0},
        {BYTES("\xf4\x90\x80\x80"), 0, 0}, /* beyond U+10FFFF */
        {BYTES("\xf8\x88\x80\x80\x80"), 0, 0},
        {BYTES("\xff"), 0, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t character = 0;
        size_t length = escape_utf8(rows[i].text, rows[i].size, &character);
        if (length != rows[i].length || (length > 0 && character != rows[i].character))
            fail_msg("row %zu: %zu bytes, U+%04X", i, length, (unsigned) character);
    }
}

/* Behind heads of 0 to 16 plain letters, since the walk takes eight bytes at once. */
static void shown_up_to_what_must_be_escaped(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        size_t size;
        size_t shown;
        const char *kept;
    } rows[] = {
        {BYTES(""), 0, ""},
        {BYTES("plain \"quoted\" \\ text ~"), 23, ""},
        {BYTES("Gr\u00fc\u00df \u20ac \U0001f600!"), 16, ""},
        {BYTES("\t\n"), 0, ""},
        {BYTES("\t\n\r"), 2, "\t\n"},
        {BYTES("\n12345678\t12345678\r"), 18, "\t\n"},
        {BYTES("\0"), 0, "\t\n"}, /* the NUL at the end of `kept` keeps none */
        {BYTES("\x1f"), 0, ""},
        {BYTES("\x7f"), 0, ""},
        {BYTES("\xc2\x80"), 0, ""},
        {BYTES("\xc2\x9f"), 0, ""},
        {BYTES("\u00a0"), 2, ""},
        {BYTES("a\xff"), 1, ""},
        {BYTES("a\xc3"), 1, ""},
        {BYTES("\u061b"), 2, ""}, /* the neighbours of what is obeyed, on both sides */
        {BYTES("\u061c"), 0, ""},
        {BYTES("\u061d"), 2, ""},
        {BYTES("\u200d"), 3, ""},
        {BYTES("\u200e"), 0, ""},
        {BYTES("\u200f"), 0, ""},
        {BYTES("\u2010\u2027"), 6, ""},
        {BYTES("\u2028"), 0, ""},
        {BYTES("\u2029"), 0, ""},
        {BYTES("\u202a"), 0, ""},
        {BYTES("\u202e"), 0, ""},
        {BYTES("\u202f\u2065"), 6, ""},
        {BYTES("\u2066"), 0, ""},
        {BYTES("\u2069"), 0, ""},
        {BYTES("\u206a"), 3, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int head = 0; head <= 16; head++) {
            char text[80];
            memcpy(text, "abcdefghijklmnop", (size_t) head);
            memcpy(text + head, rows[i].text, rows[i].size);
            size_t shown =
                escape_shown(text, (size_t) head + rows[i].size, escape_utf8, rows[i].kept);
            if (shown != (size_t) head + rows[i].shown)
                fail_msg("row %zu behind %d letters: %zu", i, head, shown);
        }
    }
}

static void a_byte_is_four(void **state)
{
    (void) state;
    for (int byte = 0; byte < 256; byte++) {
        char written[8], expected[8];
        memset(written, '?', sizeof written);
        snprintf(expected, sizeof expected, "\\x%02x", (unsigned) byte);
        assert_ptr_equal(escape_byte((char) byte, written), written + ESCAPE_BYTE_SIZE);
        assert_memory_equal(written, expected, ESCAPE_BYTE_SIZE);
        assert_int_equal(written[ESCAPE_BYTE_SIZE], '?');
    }
}

static void a_message_has_one_short_line(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        size_t size;
        const char *shown;
    } rows[] = {
        {BYTES(""), ""},
        {BYTES("plain \"quoted\" \\ text"), "plain \"quoted\" \\ text"},
        {BYTES("a\nb\t\x1b[0m\x7f"), "a\\x0ab\\x09\\x1b[0m\\x7f"},
        {BYTES("a\0b"), "a\\x00b"},
        {BYTES("Gr\u00fc\u00df"), "Gr\u00fc\u00df"},
        {BYTES("\U0001f600\u00a0"), "\U0001f600\u00a0"},
        {BYTES("\xc2\x9b\u202eX\u2066"), "\\xc2\\x9b\\xe2\\x80\\xaeX\\xe2\\x81\\xa6"},
        {BYTES("\xc3\xff\xe2\x82"), "\\xc3\\xff\\xe2\\x82"},
        {BYTES("\xed\xa0\x80"), "\\xed\\xa0\\x80"},
        {BYTES(EIGHTY "abcd"), EIGHTY "abcd"},
        {BYTES(EIGHTY "abcde"), EIGHTY "abcd..."},
        {BYTES(EIGHTY EIGHTY), EIGHTY "0123..."},
        {BYTES(EIGHTY "\n"), EIGHTY "\\x0a"},
        {BYTES(EIGHTY "a\n"), EIGHTY "a..."},
        {BYTES(EIGHTY "ab\u00fc"), EIGHTY "ab\u00fc"},
        {BYTES(EIGHTY "abc\u00fc"), EIGHTY "abc..."},
        {BYTES(EIGHTY "abc\u20ac"), EIGHTY "abc..."},
        {BYTES(EIGHTY "\U0001f600"), EIGHTY "\U0001f600"},
        {BYTES(EIGHTY "a\U0001f600"), EIGHTY "a..."},
        {BYTES(EIGHTY "\n\u20ac" EIGHTY), EIGHTY "\\x0a..."},
        {BYTES(TEN TEN "\n" TEN TEN TEN TEN TEN "6789\n" TEN),
         TEN TEN "\\x0a" TEN TEN TEN TEN TEN "6789\\x0a01..."},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char shown[ESCAPE_SIZE];
        memset(shown, '?', sizeof shown);
        assert_ptr_equal(escape_text(rows[i].text, rows[i].size, shown), shown);
        assert_string_equal(shown, rows[i].shown);
    }
    char bad[200], shown[ESCAPE_SIZE];
    memset(bad, 0x80, sizeof bad);
    escape_text(bad, sizeof bad, shown);
    assert_int_equal(strlen(shown), strlen("\\x80") * 21 + strlen("..."));
    assert_string_equal(shown + strlen("\\x80") * 21, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_decoded_strictly),
        cmocka_unit_test(shown_up_to_what_must_be_escaped),
        cmocka_unit_test(a_byte_is_four),
        cmocka_unit_test(a_message_has_one_short_line),
    };
    return cmocka_run_group_tests_name("escape", tests, NULL, NULL);
}
