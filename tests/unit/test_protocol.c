/*
 * The words on the wire: tables of bytes beside what they are.
 */
#include "common/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(literal) (literal), (sizeof(literal) - 1)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct row {
    const char *bytes;
    size_t size;
    bool expected;
};

static void check(const char *name, bool (*is)(const char *, size_t), const struct row *rows,
                  size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is(rows[i].bytes, rows[i].size) != rows[i].expected)
            fail_msg("%s, row %zu: \"%s\"", name, i, rows[i].bytes ? rows[i].bytes : "");
}

static void the_quit_word_may_have_white_space_behind_it(void **state)
{
    (void) state;
    static const struct row rows[] = {
        {BYTES("--QUIT--"), true},
        {BYTES("--QUIT-- "), true},
        {BYTES("--QUIT-- \t\n\v\f\r"), true},
        {BYTES("--QUIT--\r\n"), true},
        {NULL, 0, false},
        {BYTES(""), false},
        {BYTES("        "), false},
        {BYTES("--QUIT-"), false},
        {BYTES("--QUIT- "), false},
        {BYTES(" --QUIT--"), false},
        {BYTES("--quit--"), false},
        {BYTES("--QUIT--x"), false},
        {BYTES("--QUIT-- x "), false},
        {BYTES("--QUIT--\0"), false},
        {BYTES("--QUIT--\x1c"), false}, /* white space for Python, not for ASCII */
        {BYTES("--QUIT--\xa0"), false},
        {BYTES("--QUIT--\x85"), false},
        {BYTES("--QUIT--\x08"), false}, /* the neighbours of \t and \r */
        {BYTES("--QUIT--\x0e"), false},
        {BYTES("quit"), false},
    };
    check("protocol_is_quit", protocol_is_quit, rows, COUNT(rows));
}

static void the_quit_word_is_found_anywhere_in_a_read(void **state)
{
    (void) state;
    static const struct {
        const char *bytes;
        size_t size;
        ptrdiff_t at; /* -1: it is not there */
    } rows[] = {
        {BYTES("--QUIT--"), 0},
        {BYTES("Zack--QUIT--"), 4},
        {BYTES("a\0b\n--QUIT--more"), 4},
        {BYTES("----QUIT--"), 2},
        {BYTES("--QUIT--QUIT--"), 0},
        {BYTES("--QUIT"), -1},
        {BYTES("--QUIT-"), -1},
        {BYTES("Zack --QUIT-"), -1},
        {BYTES("--QUI\0T--"), -1},
        {BYTES(""), -1},
        {NULL, 0, -1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *found = protocol_find_quit(rows[i].bytes, rows[i].size);
        ptrdiff_t at = found ? found - rows[i].bytes : -1;
        if (at != rows[i].at)
            fail_msg("row %zu: at %td", i, at);
    }
    /* It does not look behind the end. */
    assert_null(protocol_find_quit("--QUIT--", 7));
}

static void an_error_is_err_a_space_and_a_code(void **state)
{
    (void) state;
    static const struct row rows[] = {
        {BYTES("-ERR too-long"), true},
        {BYTES("-ERR too-long the request is too long"), true},
        {BYTES("-ERR x"), true},
        {NULL, 0, false},
        {BYTES(""), false},
        {BYTES("-"), false},
        {BYTES("-ERR"), false},
        {BYTES("-ERR "), false},
        {BYTES("-ERR  x"), false},
        {BYTES("-ERRx"), false},
        {BYTES("-ERR\tx"), false},
        {BYTES("-err x"), false},
        {BYTES(" -ERR x"), false},
        {BYTES("ERR x"), false},
        {BYTES("Hello ZACK"), false},
    };
    check("protocol_is_error", protocol_is_error, rows, COUNT(rows));
}

static void a_code_is_compared_whole(void **state)
{
    (void) state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *code;
        bool expected;
    } rows[] = {
        {BYTES("-ERR too-long"), PROTOCOL_TOO_LONG, true},
        {BYTES("-ERR too-long text"), PROTOCOL_TOO_LONG, true},
        {BYTES("-ERR too-longer"), PROTOCOL_TOO_LONG, false},
        {BYTES("-ERR too-lon"), PROTOCOL_TOO_LONG, false},
        {BYTES("-ERR too"), PROTOCOL_TOO_LONG, false},
        {BYTES("-ERR text too-long"), PROTOCOL_TOO_LONG, false},
        {BYTES("-ERR too-long\0"), PROTOCOL_TOO_LONG, false},
        {BYTES("too-long"), PROTOCOL_TOO_LONG, false},
        {BYTES("-ERR not-utf8 at byte 3"), PROTOCOL_NOT_UTF8, true},
        {BYTES("-ERR handler-timeout"), PROTOCOL_HANDLER_FAILED, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (protocol_is_error_code(rows[i].bytes, rows[i].size, rows[i].code) != rows[i].expected)
            fail_msg("row %zu: \"%s\"", i, rows[i].bytes);
    /* The reply's size counts, not what stands behind it. */
    assert_false(protocol_is_error_code("-ERR busy", 8, PROTOCOL_BUSY));
}

static void four_codes_come_unasked(void **state)
{
    (void) state;
    static const struct row rows[] = {
        {BYTES("-ERR busy too many clients"), true},
        {BYTES("-ERR busy"), true},
        {BYTES("-ERR denied"), true},
        {BYTES("-ERR denied not from here"), true},
        {BYTES("-ERR tls-required this address speaks TLS"), true},
        {BYTES("-ERR stopping"), true},
        {BYTES("-ERR stopping the server is stopping"), true},
        {BYTES("-ERR busybody"), false},
        {BYTES("-ERR tls"), false},
        {BYTES("-ERR idle"), false},
        {BYTES("-ERR handler-timeout the server is stopping"), false},
        {BYTES("-ERR other"), false},
        {BYTES("-ERR"), false},
        {BYTES("busy"), false},
        {BYTES("-ERR Busy"), false},
        {BYTES(""), false},
    };
    check("protocol_is_unasked", protocol_is_unasked, rows, COUNT(rows));
}

static void each_code_has_a_number(void **state)
{
    (void) state;
    static const struct {
        const char *bytes;
        size_t size;
        int code;
    } rows[] = {
        {BYTES("-ERR too-long the request is over 5 bytes"), PROTOCOL_CODE_TOO_LONG},
        {BYTES("-ERR handler-timeout"), PROTOCOL_CODE_HANDLER_TIMEOUT},
        {BYTES("-ERR busy too many clients"), PROTOCOL_CODE_BUSY},
        {BYTES("-ERR tls-required this address speaks TLS"), PROTOCOL_CODE_TLS_REQUIRED},
        {BYTES("-ERR stopping"), PROTOCOL_CODE_STOPPING},
        {BYTES("-ERR idle"), PROTOCOL_CODE_OTHER},
        {BYTES("-ERR too-longer"), PROTOCOL_CODE_OTHER},
        {BYTES("-ERR too"), PROTOCOL_CODE_OTHER},
        {BYTES("-ERR other"), PROTOCOL_CODE_OTHER},
        {BYTES("-ERR x"), PROTOCOL_CODE_OTHER},
        {BYTES("-ERR "), -1},
        {BYTES("-ERR"), -1},
        {BYTES("-ERRbusy"), -1},
        {BYTES("busy"), -1},
        {BYTES("Hello ZACK"), -1},
        {BYTES(""), -1},
        {NULL, 0, -1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int code = protocol_error_code(rows[i].bytes, rows[i].size);
        if (code != rows[i].code)
            fail_msg("row %zu: %d", i, code);
    }
    for (int code = 0; code < PROTOCOL_CODE_OTHER; code++) {
        char reply[80];
        size_t size = protocol_write_error(reply, sizeof reply, protocol_codes[code], "text");
        assert_int_equal(protocol_error_code(reply, size), code);
        assert_int_equal(protocol_error_code(reply, size - strlen(" text")), code);
    }
    assert_string_equal(protocol_codes[PROTOCOL_CODE_OTHER], "other");
}

static void an_error_is_framed_in_every_codec(void **state)
{
    (void) state;
    static const struct {
        enum frame_codec codec;
        const char *wire;
    } rows[] = {
        {FRAME_LINE, "<-ERR busy too many clients\n"},
        {FRAME_CRLF, "<-ERR busy too many clients\r\n"},
        {FRAME_BLOCK, "<-ERR busy too many clients\n.\n"},
        {FRAME_BLOCK_CRLF, "<-ERR busy too many clients\r\n.\r\n"},
        {FRAME_NETSTRING, "<26:-ERR busy too many clients,"},
        {FRAME_RAW, "<-ERR busy too many clients"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buffer out = {0};
        assert_true(buffer_append(&out, "<", 1));
        assert_true(protocol_append_error(&out, rows[i].codec, PROTOCOL_BUSY, "too many clients"));
        assert_int_equal(buffer_size(&out), strlen(rows[i].wire));
        assert_memory_equal(buffer_head(&out), rows[i].wire, buffer_size(&out));
        buffer_fini(&out);
    }
}

static void a_long_error_is_cut(void **state)
{
    (void) state;
    char text[600];
    struct buffer out = {0};
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_true(protocol_append_error(&out, FRAME_NETSTRING, "code", text));
    assert_int_equal(buffer_size(&out), strlen("511:") + PROTOCOL_ERROR_SIZE - 1 + strlen(","));
    assert_memory_equal(buffer_head(&out), "511:-ERR code xxx", 17);
    assert_int_equal(buffer_tail(&out)[-1], ',');
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_quit_word_may_have_white_space_behind_it),
        cmocka_unit_test(the_quit_word_is_found_anywhere_in_a_read),
        cmocka_unit_test(an_error_is_err_a_space_and_a_code),
        cmocka_unit_test(a_code_is_compared_whole),
        cmocka_unit_test(four_codes_come_unasked),
        cmocka_unit_test(each_code_has_a_number),
        cmocka_unit_test(an_error_is_framed_in_every_codec),
        cmocka_unit_test(a_long_error_is_cut),
    };
    return cmocka_run_group_tests_name("protocol", tests, NULL, NULL);
}
