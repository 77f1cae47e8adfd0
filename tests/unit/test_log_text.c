/* text: what is shown as it is and what is escaped, wherever in the text it stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/log/text.h"

static const struct {
    const char *text, *shown;
} cases[] = {
    {"", ""},
    {"Zack", "Zack"},
    {" ~", " ~"},
    {"\n", "\\n"},
    {"\t\r", "\\t\\r"},
    {"\x01", "\\x01"},
    {"\x1f", "\\x1f"},
    {"\x7f", "\\x7f"},
    {"\x1b[31m", "\\x1b[31m"},
    {"\\n", "\\n"},             /* a backslash of the sender's own is no escape */
    {"\xc3\x9f", "\xc3\x9f"},   /* U+00DF */
    {"\xc2\x85", "\\xc2\\x85"}, /* U+0085, a control character */
    {"\xc2\xa0", "\xc2\xa0"},
    {"\xff", "\\xff"},
    {"\xc3", "\\xc3"}, /* cut */
    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    {"12345678\x01 90", "12345678\\x01 90"},
    /* what makes a line look like another one: U+202E, U+202C, U+2066, U+200F, U+061C, U+2028 */
    {"admin \xe2\x80\xaenimda\xe2\x80\xac", "admin \\xe2\\x80\\xaenimda\\xe2\\x80\\xac"},
    {"\xe2\x81\xa6\xe2\x80\x8f", "\\xe2\\x81\\xa6\\xe2\\x80\\x8f"},
    {"\xd8\x9c\xe2\x80\xa8", "\\xd8\\x9c\\xe2\\x80\\xa8"},
};

/* The line's text between what stands before and behind it. */
static void assert_shown(const char *text, size_t size, const char *shown)
{
    struct buffer out = {0};
    char expected[600];
    int length = snprintf(expected, sizeof expected, "[7] Processed result: %s\n", shown);
    log_text_append(&out, LOG_PROCESSED, 7, text, size, size);
    assert_int_equal(buffer_size(&out), length);
    assert_memory_equal(buffer_head(&out), expected, (size_t) length);
    buffer_fini(&out);
}

/* At each of sixteen places among plain letters, since eight bytes are looked at at once. */
static void each_is_shown_at_every_place(void **state)
{
    (void) state;
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int place = 0; place < 16; place++) {
            char text[80], shown[160];
            int size = snprintf(text, sizeof text, "%.*s%s%s", place, plain, cases[i].text, plain);
            snprintf(shown, sizeof shown, "%.*s%s%s", place, plain, cases[i].shown, plain);
            assert_shown(text, (size_t) size, shown);
        }
        assert_shown(cases[i].text, strlen(cases[i].text), cases[i].shown);
    }
}

static void every_byte_alone_and_among_eight(void **state)
{
    (void) state;
    for (int byte = 0; byte < 256; byte++) {
        for (int place = 0; place < 8; place++) {
            char text[9] = "........", shown[40] = "", one[8];
            bool plain = byte >= 0x20 && byte < 0x7f;
            text[place] = (char) byte;
            snprintf(one, sizeof one,
                     plain          ? "%c"
                     : byte == '\n' ? "\\n"
                     : byte == '\t' ? "\\t"
                     : byte == '\r' ? "\\r"
                                    : "\\x%02x",
                     byte);
            snprintf(shown, sizeof shown, "%.*s%s%.*s", place, "........", one, 7 - place,
                     "........");
            assert_shown(text, 8, shown);
        }
    }
}

static void assert_line(const char *expected, enum log_event event, uint64_t session,
                        const char *text, size_t full_size)
{
    struct buffer out = {0};
    log_text_append(&out, event, session, text, strlen(text), full_size);
    assert_int_equal(buffer_size(&out), strlen(expected));
    assert_memory_equal(buffer_head(&out), expected, strlen(expected));
    buffer_fini(&out);
}

static void lines_are_whole(void **state)
{
    (void) state;
    assert_line("Socket created\n", LOG_SOCKET_CREATED, 0, "", 0);
    assert_line("[18446744073709551615] Client is requesting to quit\n", LOG_QUIT, UINT64_MAX, "",
                0);
    assert_line("[10] Connection a closed\n", LOG_CLOSED, 10, "a", 1);
    assert_line("[1] Processed result: ab... (70000 bytes)\n", LOG_PROCESSED, 1, "ab", 70000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_shown_at_every_place),
        cmocka_unit_test(every_byte_alone_and_among_eight),
        cmocka_unit_test(lines_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
