/* text: what is shown as it is and what is escaped, wherever in the text it stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/buffer.h"
#include "server/log/render.h"

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
    struct log_record record = {0, LOG_PROCESSED, 7, text, size, size};
    assert_true(log_render(&(struct log_renderer){0}, &out, &record));
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

/* Every event, as its line has been since the first version that had it: scripts read them. */
#define FIELDS(text) text, sizeof(text) - 1
static const struct {
    enum log_event event;
    const char *text;
    size_t size;
    const char *line;
} lines[] = {
    {LOG_SOCKET_CREATED, FIELDS(""), "Socket created"},
    {LOG_LISTENING, FIELDS("127.0.0.1:8000"), "Socket now listening on 127.0.0.1:8000"},
    {LOG_METRICS, FIELDS("http://127.0.0.1:9100/metrics"),
     "Metrics on http://127.0.0.1:9100/metrics"},
    {LOG_STOPPED,
     FIELDS("2\0"
            "3"),
     "Server stopped after 2 clients, 3 requests"},
    {LOG_STATUS,
     FIELDS("2\0"
            "14\0"
            "99\0"
            "1\0"
            "6\0"
            "4096"),
     "Status: 2 clients now, 14 so far, 99 requests, 1 loops in use, 6 threads, 4096 bytes held"},
    {LOG_RELOADED, FIELDS("allow deny"), "Reloaded: allow deny"},
    {LOG_RELOAD_FAILED, FIELDS("deny\0why"), "Reload failed, nothing has changed: deny: why"},
    {LOG_CERTIFICATE,
     FIELDS("own.pem\0"
            "2026-11-25T23:22:48Z"),
     "Certificate own.pem is good until 2026-11-25T23:22:48Z"},
    {LOG_CERTIFICATE_NEAR,
     FIELDS("own.pem\0"
            "2026-11-25T23:22:48Z"),
     "Certificate own.pem is over soon: it is good until 2026-11-25T23:22:48Z"},
    {LOG_CERTIFICATE_OVER,
     FIELDS("own.pem\0"
            "2026-11-25T23:22:48Z"),
     "Certificate own.pem is over since 2026-11-25T23:22:48Z"},
    {LOG_NATS_CONNECTED,
     FIELDS("n1:4222\0"
            "2.9.10"),
     "Connected to NATS n1:4222 (2.9.10)"},
    {LOG_NATS_LOST, FIELDS("n1:4222\0why"), "Lost NATS n1:4222: why"},
    {LOG_NATS_AWAY, FIELDS("why"), "NATS can't be reached: why"},
    {LOG_NATS_REFUSED, FIELDS("why"), "NATS does not let us in: why"},
    {LOG_NATS_DENIED, FIELDS("n1:4222\0why"), "NATS n1:4222 does not permit it: why"},
    {LOG_NATS_MAX_PAYLOAD,
     FIELDS("n1:4222\0"
            "1024\0"
            "65536"),
     "NATS n1:4222 takes messages of 1024 bytes, less than --max-message 65536"},
    {LOG_NATS_NO_REPLY, FIELDS("upper"), "A message to upper has no reply subject, and is not run"},
    {LOG_SERVICE_DOWN, FIELDS("upper"), "Service upper is down"},
    {LOG_SERVICE_UP, FIELDS("upper"), "Service upper is up"},
    {LOG_CONNECTED, FIELDS("127.0.0.1:54012"), "Connected with 127.0.0.1:54012"},
    {LOG_CONNECTED, FIELDS("unix:/tmp/s\0uid=0"), "Connected with unix:/tmp/s as uid=0"},
    {LOG_PROCESSING, FIELDS("Zack"), "Processing the input received from client: Zack"},
    {LOG_PROCESSING, FIELDS(""), "Processing the input received from client: "},
    {LOG_PROCESSING, FIELDS("a\0b"), "Processing the input received from client: a\\x00b"},
    {LOG_PROCESSED, FIELDS("Hello ZACK"), "Processed result: Hello ZACK"},
    {LOG_TOO_LONG, FIELDS("6000"), "The input size is greater than expected 6000"},
    {LOG_QUIT, FIELDS(""), "Client is requesting to quit"},
    {LOG_CLOSED, FIELDS("127.0.0.1:54012"), "Connection 127.0.0.1:54012 closed"},
    {LOG_BAD_FRAME, FIELDS("why"), "The input is malformed: why"},
    {LOG_HTTP, FIELDS(""), "The client speaks HTTP, and is refused"},
    {LOG_INCOMPLETE, FIELDS("why"), "The input is incomplete: why"},
    {LOG_HANDLER_FAILED, FIELDS("why"), "The handler failed: why"},
    {LOG_HANDLER_TIMEOUT, FIELDS("500"), "The handler has not answered within 500 ms"},
    {LOG_IDLE, FIELDS("500"), "The client has asked nothing for 500 ms"},
    {LOG_WRITE_TIMEOUT, FIELDS("500"), "The client has read nothing for 500 ms"},
    {LOG_ANSWER_DROPPED, FIELDS("why"), "An answer was dropped: why"},
    {LOG_BROKEN, FIELDS("why"), "The session was given up: why"},
    {LOG_BUSY, FIELDS("127.0.0.1:54012"), "Too many clients, refused 127.0.0.1:54012"},
    {LOG_ADDRESS_BUSY, FIELDS("127.0.0.1:54012\0"),
     "Too many clients of one address, refused 127.0.0.1:54012"},
    {LOG_ADDRESS_BUSY, FIELDS("unix:/tmp/s\0uid=0"),
     "Too many clients of one address, refused unix:/tmp/s as uid=0"},
    {LOG_DENIED, FIELDS("127.0.0.1:54012\0\0--deny 127.0.0.1"),
     "Denied 127.0.0.1:54012: --deny 127.0.0.1"},
    {LOG_DENIED, FIELDS("unix:/tmp/s\0uid=0\0--deny user:root"),
     "Denied unix:/tmp/s as uid=0: --deny user:root"},
    {LOG_TLS_FAILED, FIELDS("127.0.0.1:54012\0unsupported protocol"),
     "TLS handshake with 127.0.0.1:54012 failed: unsupported protocol"},
    {LOG_CUT, FIELDS(""), "The stream was cut"},
    {LOG_PROXY_FAILED, FIELDS("127.0.0.1:54012\0there is none"),
     "PROXY header from 127.0.0.1:54012 is wrong: there is none"},
    {LOG_MEMORY_SHORT,
     FIELDS("7\0"
            "8"),
     "Memory is short, some clients wait until they are read: 7 bytes of 8"},
    {LOG_ACCEPT_FAILED, FIELDS("why"), "Accept failed, resting. Error : why"},
    {LOG_THREAD_FAILED, FIELDS("why"), "Thread did not start. Error : why"},
    {LOG_NO_SPARE, FIELDS("640"),
     "No thread to go on while handlers run long: 640 threads at most"},
    {LOG_LEFT_BEHIND, FIELDS("3"), "Handlers left behind: 3"},
    {LOG_MAX_CLIENTS_LOWERED,
     FIELDS("80\0"
            "10000"),
     "Clients at most: 80 instead of 10000, since the limit of open files leaves no room for more"},
    {LOG_WORKER_STARTED,
     FIELDS("1\0"
            "4711"),
     "Worker 1 started, process 4711"},
    {LOG_WORKER_LOST, FIELDS("1\0is replaced in 50 ms\0why\0"),
     "Worker 1 is replaced in 50 ms: why\\x00"},
    {LOG_WORKERS_DOWN, FIELDS("5"), "All workers have failed again and again, next try in 5 s"},
    {LOG_WORKERS_RESTARTED,
     FIELDS("3\0"
            "4"),
     "Workers restarted: 3 of 4"},
    {LOG_WORKER_GREETING, FIELDS("1\0psql"), "Worker 1 greets: psql"},
    {LOG_WORKER_SURPLUS, FIELDS("1\0more"),
     "Worker 1 has written behind its reply, which is dropped: more"},
    {LOG_WORKER_SURPLUS, FIELDS("1\0"),
     "Worker 1 has written behind its reply, which is dropped: "},
    {LOG_WORKER_RESTS, FIELDS("1\0why"), "Worker 1 can't be seen to wait any more: why"},
    {LOG_WORKER, FIELDS("1\0line"), "Worker 1: line"},
    {LOG_DROPPED, FIELDS("17"), "17 lines of this log were dropped"},
    {LOG_REPEATED, FIELDS("7\0The handler failed"), "7 more within a second: The handler failed"},
};

static void assert_line(const struct log_record *record, const char *expected)
{
    struct buffer out = {0};
    assert_true(log_render(&(struct log_renderer){0}, &out, record));
    assert_true(buffer_append(&out, "", 1));
    assert_string_equal(buffer_head(&out), expected);
    buffer_fini(&out);
}

static void every_event_has_its_line(void **state)
{
    (void) state;
    bool seen[LOG_LINES] = {false};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char expected[200];
        struct log_record record = {0, lines[i].event, 0, lines[i].text, lines[i].size, 0};
        snprintf(expected, sizeof expected, "%s\n", lines[i].line);
        assert_line(&record, expected);
        record.session = UINT64_MAX;
        snprintf(expected, sizeof expected, "[18446744073709551615] %s\n", lines[i].line);
        assert_line(&record, expected);
        seen[lines[i].event] = true;
    }
    for (int event = 0; event < LOG_LINES; event++)
        assert_true(seen[event]);
}

static void a_cut_text_has_its_size(void **state)
{
    (void) state;
    struct log_record reply = {0, LOG_PROCESSED, 1, "ab", 2, 70000};
    struct log_record closed = {0, LOG_CLOSED, 1, "ab", 2, 70000};
    assert_line(&reply, "[1] Processed result: ab... (70000 bytes)\n");
    assert_line(&closed, "[1] Connection ab... (70000 bytes) closed\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_shown_at_every_place),
        cmocka_unit_test(every_byte_alone_and_among_eight),
        cmocka_unit_test(every_event_has_its_line),
        cmocka_unit_test(a_cut_text_has_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
