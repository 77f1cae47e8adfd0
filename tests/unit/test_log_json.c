/* json: objects that are valid whatever bytes the text has, and say all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buffer.h"
#include "server/log/render.h"

#define BEGIN "{\"time\":\"1970-01-01T00:00:01.000002Z\",\"level\":"
#define TIME_NS INT64_C(1000002999)

static struct log_renderer json = {.style.format = LOG_FORMAT_JSON};

/* The record's line, without its newline; the caller frees it. */
static char *render(const struct log_record *record)
{
    struct buffer out = {0};
    assert_true(log_render(&json, &out, record));
    size_t size = buffer_size(&out);
    assert_int_equal(buffer_head(&out)[size - 1], '\n');
    buffer_head(&out)[size - 1] = '\0';
    assert_int_equal(strlen(buffer_head(&out)), size - 1);
    return buffer_head(&out);
}

static void assert_object(const struct log_record *record, const char *rest)
{
    char *line = render(record);
    assert_memory_equal(line, BEGIN, strlen(BEGIN));
    assert_string_equal(line + strlen(BEGIN), rest);
    free(line);
}

#define FIELDS(text) text, sizeof(text) - 1
static const struct {
    enum log_event event;
    uint64_t session;
    const char *text;
    size_t size;
    const char *rest;
} objects[] = {
    {LOG_SOCKET_CREATED, 0, FIELDS(""), "\"info\",\"event\":\"socket-created\"}"},
    {LOG_QUIT, UINT64_MAX, FIELDS(""),
     "\"info\",\"event\":\"quit\",\"session\":18446744073709551615}"},
    {LOG_CONNECTED, 7, FIELDS("127.0.0.1:54012\0CN=alice,O=Banter"),
     "\"info\",\"event\":\"connected\",\"session\":7,\"address\":\"127.0.0.1:54012\","
     "\"identity\":\"CN=alice,O=Banter\"}"},
    {LOG_DENIED, 0, FIELDS("a\0\0--deny b"),
     "\"error\",\"event\":\"denied\",\"address\":\"a\",\"why\":\"--deny b\"}"},
    {LOG_CONNECTED, 7, FIELDS("a"),
     "\"info\",\"event\":\"connected\",\"session\":7,\"address\":\"a\"}"},
    {LOG_PROCESSING, 1, FIELDS(""),
     "\"debug\",\"event\":\"request\",\"session\":1,\"message\":\"\"}"},
    {LOG_STOPPED, 0, FIELDS("2\0003"),
     "\"info\",\"event\":\"stopped\",\"clients\":2,\"requests\":3}"},
    {LOG_WORKER, 0, FIELDS("1\0a\0b"),
     "\"error\",\"event\":\"worker\",\"worker\":1,\"message\":\"a\\u0000b\"}"},
    {LOG_WORKER, 0, FIELDS("1\0\xff"),
     "\"error\",\"event\":\"worker\",\"worker\":1,\"message_base64\":\"/w==\"}"},
    {LOG_WORKER_LOST, 0, FIELDS("1\0is replaced\0why"),
     "\"error\",\"event\":\"worker-lost\",\"worker\":1,\"outcome\":\"is replaced\","
     "\"why\":\"why\"}"},
};

static void objects_have_their_keys_in_order(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        struct log_record record = {TIME_NS,         objects[i].event, objects[i].session,
                                    objects[i].text, objects[i].size,  objects[i].size};
        assert_object(&record, objects[i].rest);
    }
}

static void the_log_s_own_lines(void **state)
{
    (void) state;
    struct buffer out = {0};
    assert_true(log_render_dropped(&json, &out, TIME_NS, 17));
    assert_true(log_render_repeated(&json, &out, TIME_NS, LOG_TOO_LONG, 990));
    assert_true(buffer_append(&out, "", 1));
    assert_string_equal(buffer_head(&out), BEGIN
                        "\"error\",\"event\":\"dropped\",\"count\":17}\n" BEGIN
                        "\"error\",\"event\":\"repeated\",\"count\":990,\"of\":\"too-long\"}\n");
    buffer_fini(&out);
}

/* ---- texts ---- */

/* How a message is written, behind its key. */
static void assert_message(const char *text, size_t size, size_t full_size, const char *expected)
{
    char rest[1024];
    struct log_record record = {TIME_NS, LOG_PROCESSED, 0, text, size, full_size};
    snprintf(rest, sizeof rest, "\"debug\",\"event\":\"reply\",\"message%s}", expected);
    assert_object(&record, rest);
}

static void each_byte_among_others(void **state)
{
    (void) state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int byte = 0; byte < 256; byte++) {
        char text[] = {'a', (char) byte, 'b'}, expected[40];
        const char *name = byte ? strchr("\bb\tt\nn\ff\rr\"\"\\\\", byte) : NULL;
        bool is_named = name && !strchr("bntfr", byte);
        if (byte >= 0x80)
            snprintf(expected, sizeof expected, "_base64\":\"%c%c%c%c\"", digits['a' >> 2],
                     digits[('a' & 3) << 4 | byte >> 4], digits[(byte & 15) << 2 | 'b' >> 6],
                     digits['b' & 63]);
        else if (is_named)
            snprintf(expected, sizeof expected, "\":\"a\\%cb\"", name[1]);
        else if (byte < 0x20 || byte == 0x7f)
            snprintf(expected, sizeof expected, "\":\"a\\u%04xb\"", (unsigned) byte);
        else
            snprintf(expected, sizeof expected, "\":\"a%cb\"", byte);
        assert_message(text, sizeof text, sizeof text, expected);
    }
}

static void characters(void **state)
{
    (void) state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"\xc3\x9f \xf0\x9f\x98\x80", "\":\"\xc3\x9f \xf0\x9f\x98\x80\""},
        {"\xc2\x9b", "\":\"\\u009b\""},         /* a control character */
        {"\xe2\x80\xae", "\":\"\\u202e\""},     /* turns the direction of text */
        {"\xe2\x80\xa8", "\":\"\\u2028\""},     /* ends a line of JavaScript */
        {"\xed\xa0\x80", "_base64\":\"7aCA\""}, /* a surrogate */
        {"\xc0\x80", "_base64\":\"wIA=\""},     /* an overlong form */
        {"\xf4\x90\x80\x80", "_base64\":\"9JCAgA==\""},
        {"a\xc3", "_base64\":\"YcM=\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_message(rows[i].text, strlen(rows[i].text), strlen(rows[i].text), rows[i].expected);
}

static void what_was_cut_ends_with_a_character(void **state)
{
    (void) state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"ab", "\":\"ab\",\"bytes\":70000"},
        {"ab\xf0\x9f\x98\x80", "\":\"ab\xf0\x9f\x98\x80\",\"bytes\":70000"},
        {"ab\xf0\x9f\x98", "\":\"ab\",\"bytes\":70000"},
        {"ab\xf0\x9f", "\":\"ab\",\"bytes\":70000"},
        {"ab\xf0", "\":\"ab\",\"bytes\":70000"},
        {"\xc3", "\":\"\",\"bytes\":70000"},
        {"ab\x80\x80\x80\x80", "_base64\":\"YWKAgICA\",\"bytes\":70000"},
        {"ab\xff", "_base64\":\"YWL/\",\"bytes\":70000"},
        {"\xff\xc3", "_base64\":\"/8M=\",\"bytes\":70000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_message(rows[i].text, strlen(rows[i].text), 70000, rows[i].expected);
}

/* ---- what stands in front ---- */

static void each_form_has_its_priorities(void **state)
{
    (void) state;
    static const struct {
        enum log_event event;
        char priority;
    } rows[] = {{LOG_SOCKET_CREATED, '6'},
                {LOG_QUIT, '6'},
                {LOG_PROCESSED, '7'},
                {LOG_HTTP, '3'},
                {LOG_DROPPED, '3'}};
    static const char *const begins[] = {"", "1970-01-01T00:00:01.000002Z ", BEGIN};
    for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct log_renderer renderer = {.style = {(enum log_format) format, true}};
            struct log_record record = {TIME_NS, rows[i].event, 0, "1", 1, 1};
            struct buffer out = {0};
            char begin[80];
            snprintf(begin, sizeof begin, "<%c>%s", rows[i].priority, begins[format]);
            assert_true(log_render(&renderer, &out, &record));
            assert_memory_equal(buffer_head(&out), begin, strlen(begin));
            buffer_fini(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_have_their_keys_in_order),
        cmocka_unit_test(the_log_s_own_lines),
        cmocka_unit_test(each_byte_among_others),
        cmocka_unit_test(characters),
        cmocka_unit_test(what_was_cut_ends_with_a_character),
        cmocka_unit_test(each_form_has_its_priorities),
    };
    return cmocka_run_group_tests_name("log_json", tests, NULL, NULL);
}
