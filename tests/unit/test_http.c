/* test_http: which lines are requests of HTTP, whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/session/http.h"

static const struct {
    const char *line;
    bool is_request;
} lines[] = {
    {"GET / HTTP/1.1", true},
    {"GET / HTTP/1.1\r", true},
    {"GET / HTTP/1.0", true},
    {"POST /a%20b?c=d HTTP/1.1", true},
    {"OPTIONS * HTTP/1.1\r", true},
    {"anything at all HTTP/1.1", true},
    {"x HTTP/1.1", true},
    {" HTTP/1.1", true},
    {"HTTP/1.1", false},
    {"", false},
    {"\r", false},
    {"GET / HTTP/1.2", false},
    {"GET / HTTP/2", false},
    {"GET / HTTP/1.1 ", false},
    {"GET / HTTP/1.1\r\r", false},
    {"GET /HTTP/1.1", false},
    {"GET / http/1.1", false},
    {"GET / HTTP/1.11", false},
    {"the text HTTP/1.1 in a line", false},
};

static void whole_lines(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(http_is_request(lines[i].line, strlen(lines[i].line)),
                         lines[i].is_request);
}

static bool cut_is_request(const char *text, size_t size, size_t piece, bool has_lf)
{
    struct http_line line = {0};
    for (size_t at = 0; at < size; at += piece)
        http_line_add(&line, text + at, size - at < piece ? size - at : piece, false);
    assert_false(http_line_is_request(&line));
    if (has_lf)
        http_line_add(&line, "\nGET / HTTP/1.1 no more", 22, false);
    else
        http_line_add(&line, "", 0, true);
    http_line_add(&line, "x", 1, true);
    return http_line_is_request(&line);
}

static void lines_in_pieces(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        for (size_t before = 0; before < 30; before++) {
            char text[100] = "";
            memset(text, 'x', before);
            strcpy(text + before, lines[i].line);
            bool expected = http_is_request(text, strlen(text));
            for (size_t piece = 1; piece < 40; piece++) {
                assert_int_equal(cut_is_request(text, strlen(text), piece, true), expected);
                assert_int_equal(cut_is_request(text, strlen(text), piece, false), expected);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_lines),
        cmocka_unit_test(lines_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
