/* input: lines in, messages out, whatever the reads return. Standard input is the test's. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/batch/input.h"

static char *no_messages[] = {NULL};

/* ---- helpers ---- */

static int open_stdin_pipe(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    return ends[1];
}

static void open_stdin_file(const char *text, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(write(fileno(file), text, size), size);
    assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
    assert_int_equal(dup2(fileno(file), STDIN_FILENO), STDIN_FILENO);
    fclose(file);
}

static void put(struct buffer *out, const char *text, size_t size)
{
    assert_true(buffer_append(out, text, size));
}

static void put_message(struct buffer *out, const char *text, size_t size)
{
    put(out, "[", 1);
    put(out, text, size);
    put(out, "]", 1);
}

/* The lines have their ends. */
static void put_lines(struct buffer *out, const char *text, size_t size, size_t count)
{
    const char *end = text + size;
    for (; text != end; count--) {
        const char *newline = memchr(text, '\n', (size_t) (end - text));
        assert_non_null(newline);
        put_message(out, text, (size_t) (newline - text));
        text = newline + 1;
    }
    assert_int_equal(count, 0);
}

/* Appends what the input gives, each message in brackets, a piece with "+" behind it. */
static enum input_outcome take(struct input *input, struct buffer *out)
{
    for (;;) {
        const char *text = NULL;
        size_t size = 0;
        enum input_outcome outcome = input_next(input, &text, &size);
        if (outcome == INPUT_MESSAGE) {
            put_message(out, text, size);
        } else if (outcome == INPUT_LINES) {
            put_lines(out, text, size, input->line_count);
        } else if (outcome == INPUT_PIECE) {
            put(out, text, size);
            put(out, "+", 1);
        } else {
            return outcome;
        }
    }
}

/* ---- lines ---- */

#define TEXT(text) text, sizeof text - 1

static const struct {
    const char *script;
    size_t size;
    const char *messages;
    const char *literal; /* with --literal; NULL: the same */
} table[] = {
    {TEXT(""), "", NULL},
    {TEXT("one\ntwo\n"), "[one][two]", NULL},
    {TEXT("one\ntwo"), "[one][two]", NULL},
    {TEXT("one\r\ntwo\r\n"), "[one][two]", NULL},
    {TEXT("o\rne\r\r\n"), "[o\rne\r]", NULL},
    {TEXT("\n\n"), "[][]", NULL},
    {TEXT("quit"), "", "[quit]"},
    {TEXT("one\nquit\ntwo\n"), "[one]", "[one][quit][two]"},
    {TEXT("one\nquit\r\ntwo\n"), "[one]", "[one][quit][two]"},
    {TEXT("one\n--QUIT-- \ntwo\n"), "[one]", "[one][--QUIT-- ][two]"},
    {TEXT("one\n--QUIT--"), "[one]", "[one][--QUIT--]"},
    {TEXT("quits\n quit\nq\n-\n--QUIT\n"), "[quits][ quit][q][-][--QUIT]", NULL},
};

/* The first `split` bytes come in one read, the others in another one. */
static void check(size_t i, size_t split, bool is_literal, bool takes_lines)
{
    struct options options = {.messages = no_messages, .is_literal = is_literal};
    struct input input;
    struct buffer out = {0};
    int end = open_stdin_pipe();
    input_init(&input, &options, takes_lines);
    assert_int_equal(input.fd, STDIN_FILENO);
    if (split > 0) {
        assert_int_equal(write(end, table[i].script, split), split);
        input_read(&input);
    }
    take(&input, &out);
    assert_int_equal(write(end, table[i].script + split, table[i].size - split),
                     table[i].size - split);
    close(end);
    while (take(&input, &out) == INPUT_NOT_YET)
        input_read(&input);
    put(&out, "", 1);
    assert_string_equal(buffer_head(&out),
                        is_literal && table[i].literal ? table[i].literal : table[i].messages);
    assert_int_equal(input.failure, 0);
    buffer_fini(&out);
    input_fini(&input);
}

static void test_lines_at_every_split(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        for (size_t split = 0; split <= table[i].size; split++)
            for (int flags = 0; flags < 4; flags++)
                check(i, split, flags & 1, flags & 2);
}

/* ---- long lines ---- */

#define LONG_BYTES 300000

static void feed_long_line(enum frame_codec codec, struct buffer *out, size_t *pieces)
{
    struct options options = {.messages = no_messages, .conversation.codec = codec};
    struct input input;
    char *line = malloc(LONG_BYTES);
    memset(line, 'x', LONG_BYTES);
    line[LONG_BYTES - 2] = '\r';
    line[LONG_BYTES - 1] = '\n';
    open_stdin_file(line, LONG_BYTES);
    free(line);
    input_init(&input, &options, true);
    *pieces = 0;
    for (;;) {
        const char *text = NULL;
        size_t size = 0;
        enum input_outcome outcome = input_next(&input, &text, &size);
        if (outcome == INPUT_END)
            break;
        *pieces += outcome == INPUT_PIECE;
        if (outcome == INPUT_NOT_YET)
            input_read(&input);
        else
            put(out, text, size);
    }
    input_fini(&input);
}

static void test_a_long_line(void **state)
{
    (void) state;
    static const struct {
        enum frame_codec codec;
        bool is_in_pieces;
    } codecs[] = {{FRAME_LINE, true},
                  {FRAME_CRLF, true},
                  {FRAME_BLOCK, true},
                  {FRAME_NETSTRING, false},
                  {FRAME_RAW, false}};
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        struct buffer out = {0};
        size_t pieces;
        feed_long_line(codecs[i].codec, &out, &pieces);
        assert_int_equal(pieces > 0, codecs[i].is_in_pieces);
        assert_int_equal(buffer_size(&out), LONG_BYTES - 2); /* without CR LF */
        assert_null(memchr(buffer_head(&out), '\n', LONG_BYTES - 2));
        buffer_fini(&out);
    }
}

/* ---- messages, the rest, the share ---- */

static void test_messages(void **state)
{
    (void) state;
    char words[][10] = {"one", "", "quit", "--QUIT--", "a\nb"};
    char *messages[] = {words[0], words[1], words[2], words[3], words[4], NULL};
    struct options options = {.messages = messages};
    struct input input;
    struct buffer out = {0};
    input_init(&input, &options, true);
    assert_int_equal(input.fd, -1);
    assert_false(input.is_script);
    assert_int_equal(input_rest(&input, 0), INPUT_REST_SOME);
    assert_int_equal(take(&input, &out), INPUT_END);
    assert_int_equal(input_rest(&input, 0), INPUT_REST_NONE);
    assert_true(input_share(&input) < 0);
    put(&out, "", 1);
    assert_string_equal(buffer_head(&out), "[one][][quit][--QUIT--][a\nb]");
    buffer_fini(&out);
    input_fini(&input);
}

static void test_rest(void **state)
{
    (void) state;
    static const struct {
        const char *script;
        bool is_closed;
        enum input_rest rest;
    } rests[] = {
        {"", true, INPUT_REST_NONE},           {"", false, INPUT_REST_UNKNOWN},
        {"quit\nx", false, INPUT_REST_NONE},   {"x\n", false, INPUT_REST_SOME},
        {"half a li", false, INPUT_REST_SOME}, {"half a li", true, INPUT_REST_SOME},
    };
    for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
        struct options options = {.messages = no_messages};
        struct input input;
        int end = open_stdin_pipe();
        size_t size = strlen(rests[i].script);
        assert_int_equal(write(end, rests[i].script, size), size);
        if (rests[i].is_closed)
            close(end);
        input_init(&input, &options, true);
        assert_int_equal(input_rest(&input, 0), rests[i].rest);
        input_fini(&input);
        if (!rests[i].is_closed)
            close(end);
    }
}

/* Of a file that was read in part before we began. */
static void test_share(void **state)
{
    (void) state;
    struct options options = {.messages = no_messages};
    struct input input;
    const char *text;
    size_t size;
    open_stdin_file("gone\naaa\nbbb\n", 13);
    assert_int_equal(lseek(STDIN_FILENO, 5, SEEK_SET), 5);
    input_init(&input, &options, false);
    assert_int_equal(input_next(&input, &text, &size), INPUT_NOT_YET);
    assert_true(input_share(&input) == 0);
    input_read(&input);
    assert_int_equal(input_next(&input, &text, &size), INPUT_MESSAGE);
    assert_true(input_share(&input) == 0.5);
    assert_int_equal(input_next(&input, &text, &size), INPUT_MESSAGE);
    assert_true(input_share(&input) == 1);
    input_fini(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_at_every_split),
        cmocka_unit_test(test_a_long_line),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
