/*
 * Telnet commands, by a table: what a client sends, what is left of it, and what is answered. Each
 * row is fed whole, byte by byte, and cut at every point.
 */
#include "server/session/telnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(literal) (literal), (sizeof(literal) - 1)

#define SE "\xf0"
#define NOP "\xf1"
#define DM "\xf2"
#define SB "\xfa"
#define WILL "\xfb"
#define WONT "\xfc"
#define DO "\xfd"
#define DONT "\xfe"
#define IAC "\xff"
#define ECHO_ "\x01"
#define TIMING_MARK "\x06"

static const struct {
    const char *sent;
    size_t size;
    const char *left;
    size_t left_size;
    const char *answered;
    size_t answered_size;
    bool is_partial;
} rows[] = {
    {BYTES(""), BYTES(""), BYTES(""), false},
    {BYTES("Zack\r\n"), BYTES("Zack\r\n"), BYTES(""), false},
    {BYTES("a\0\n"), BYTES("a\0\n"), BYTES(""), false},
    {BYTES("a\r\0b\r\0\0"), BYTES("a\rb\r\0"), BYTES(""), false},
    {BYTES("\r\r\0\n\0"), BYTES("\r\r\n\0"), BYTES(""), false},
    {BYTES("a\r"), BYTES("a\r"), BYTES(""), false},
    {BYTES("a" IAC NOP "b" IAC DM), BYTES("ab"), BYTES(""), false},
    {BYTES("a" IAC IAC "b" IAC IAC IAC IAC),
     BYTES("a\xff"
           "b\xff\xff"),
     BYTES(""), false},
    {BYTES(IAC "x" IAC "\n"
               "a"),
     BYTES("a"), BYTES(""), false},
    {BYTES(IAC DO TIMING_MARK), BYTES(""), BYTES(IAC WILL TIMING_MARK), false},
    {BYTES("a" IAC DO ECHO_ "b"), BYTES("ab"), BYTES(IAC WONT ECHO_), false},
    {BYTES("a" IAC WILL ECHO_ "b"), BYTES("ab"), BYTES(IAC DONT ECHO_), false},
    {BYTES(IAC WILL TIMING_MARK), BYTES(""), BYTES(IAC DONT TIMING_MARK), false},
    {BYTES(IAC DO IAC "a"), BYTES("a"), BYTES(IAC WONT IAC), false},
    {BYTES(IAC DO "\0"
                  "a"),
     BYTES("a"), BYTES(IAC WONT "\0"), false},
    {BYTES("a" IAC WONT ECHO_ IAC DONT ECHO_ "b"), BYTES("ab"), BYTES(""), false},
    {BYTES("a" IAC SB "\x18\0xterm\n" IAC SE "b"), BYTES("ab"), BYTES(""), false},
    {BYTES("a" IAC SB SE IAC IAC SE IAC DO "x" IAC SE "b"), BYTES("ab"), BYTES(""), false},
    {BYTES("a" IAC), BYTES("a"), BYTES(""), true},
    {BYTES("a" IAC DO), BYTES("a"), BYTES(""), true},
    {BYTES("a" IAC WILL), BYTES("a"), BYTES(""), true},
    {BYTES("a" IAC WONT), BYTES("a"), BYTES(""), true},
    {BYTES("a" IAC SB "b"), BYTES("a"), BYTES(""), true},
    {BYTES("a" IAC SB "b" IAC), BYTES("a"), BYTES(""), true},
};

struct result {
    struct telnet telnet;
    struct buffer left, answers;
};

static void feed(struct result *result, const char *data, size_t size)
{
    bool failed = false;
    assert_true(buffer_reserve(&result->left, size));
    if (size > 0)
        memcpy(buffer_tail(&result->left), data, size);
    buffer_added(&result->left, telnet_filter(&result->telnet, buffer_tail(&result->left), size,
                                              &result->answers, &failed));
    assert_false(failed);
}

static void check(struct result *result, size_t row)
{
    if (buffer_size(&result->left) != rows[row].left_size ||
        buffer_size(&result->answers) != rows[row].answered_size)
        fail_msg("row %zu: %zu bytes left, %zu answered", row, buffer_size(&result->left),
                 buffer_size(&result->answers));
    assert_memory_equal(buffer_head(&result->left), rows[row].left, rows[row].left_size);
    assert_memory_equal(buffer_head(&result->answers), rows[row].answered, rows[row].answered_size);
    assert_int_equal(telnet_is_partial(&result->telnet), rows[row].is_partial);
    buffer_fini(&result->left);
    buffer_fini(&result->answers);
}

static void commands_are_taken_out_and_answered(void **state)
{
    (void) state;
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct result bytewise = {0};
        for (size_t i = 0; i < rows[row].size; i++)
            feed(&bytewise, rows[row].sent + i, 1);
        check(&bytewise, row);
        for (size_t cut = 0; cut <= rows[row].size; cut++) {
            struct result result = {0};
            feed(&result, rows[row].sent, cut);
            feed(&result, rows[row].sent + cut, rows[row].size - cut);
            check(&result, row);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(commands_are_taken_out_and_answered)};
    return cmocka_run_group_tests_name("telnet", tests, NULL, NULL);
}
