/*
 * test_relay: a session whose client talks to a program: the test is both of them, and the handler.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>

#include "server/session/pipes.h"
#include "server/session/relay.h"
#include "server/stream.h"
#include "tests/unit/shard_fixture.h"

enum { IDLE_MS = 1000, DRAIN_MS = 500, REQUEST_MS = 300, WRITE_MS = 400, LARGE = 64 << 10 };

/* ---- the handler and its program ---- */

static struct {
    struct stream *stream;
    bool over, no_memory;
    int input, output; /* the program's */
} program;

static bool begun(struct handler *handler, struct stream *stream, const struct peer_text *peer)
{
    (void) handler;
    assert_non_null(peer);
    if (program.no_memory)
        return false;
    program.stream = stream;
    return true;
}

static void ended(struct handler *handler, struct stream *stream)
{
    (void) handler;
    assert_ptr_equal(stream, program.stream);
    assert_false(program.over);
    program.over = true;
}

static const struct handler_kind kind = {
    .name = "relay",
    .stream_begun = begun,
    .stream_ended = ended,
};

static int set_up(void **state)
{
    memset(&program, 0, sizeof program);
    program.input = program.output = -1;
    signal(SIGPIPE, SIG_IGN);
    if (fixture_set_up(state) != 0)
        return -1;
    fixture.handler.kind = &kind;
    fixture.handler.relays = true;
    struct server_config *config = fixture_config();
    config->idle_timeout_ms = IDLE_MS;
    config->drain_timeout_ms = DRAIN_MS;
    config->request_timeout_ms = REQUEST_MS;
    config->write_timeout_ms = WRITE_MS;
    return 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int tear_down(void **state)
{
    fixture_end();
    if (program.stream) {
        assert_true(program.over);
        close_fd(&program.stream->input_fd);
        close_fd(&program.stream->output_fd);
        stream_release(program.stream);
    }
    close_fd(&program.input);
    close_fd(&program.output);
    return fixture_tear_down(state);
}

#define RELAY_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void start_program(void)
{
    int input[2], output[2];
    assert_int_equal(pipe2(input, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_NONBLOCK | O_CLOEXEC), 0);
    program.input = input[0];
    program.output = output[1];
    stream_started(program.stream, input[1], output[0]);
    assert_true(fixture_run());
}

static struct session *begin(int *client)
{
    struct session *session = fixture_session(client);
    start_program();
    return session;
}

static void program_says(const char *text)
{
    assert_int_equal(write(program.output, text, strlen(text)), (ssize_t) strlen(text));
    assert_true(fixture_run());
}

/* It has got just this since it was last asked, and its input has not ended. */
static void program_expects(const char *text)
{
    char got[4096] = "";
    ssize_t size = read(program.input, got, sizeof got - 1);
    assert_string_equal(got, text);
    assert_int_equal(size, *text ? (ssize_t) strlen(text) : -1);
}

static void program_expects_end(void)
{
    char byte;
    assert_int_equal(read(program.input, &byte, 1), 0);
}

static void client_says(int client, const char *text)
{
    fixture_say(client, text);
    assert_true(fixture_run());
}

/* Writes until nothing is taken any more. Returns how many bytes were. */
static size_t fill(int fd)
{
    static char lines[LARGE];
    size_t sum = 0;
    ssize_t size;
    memset(lines, '\n', sizeof lines);
    do {
        size = write(fd, lines, sizeof lines);
        sum += size > 0 ? (size_t) size : 0;
        assert_true(fixture_run());
    } while (size > 0 && sum < (size_t) 64 << 20);
    return sum;
}

/* Reads, with the server's help, what can be read. */
static size_t empty(int fd)
{
    static char scrap[LARGE];
    size_t sum = 0;
    ssize_t size;
    while ((size = read(fd, scrap, sizeof scrap)) > 0) {
        sum += (size_t) size;
        assert_true(fixture_run());
    }
    return sum;
}

/* ---- both ways ---- */

static void lines_go_both_ways(void **state)
{
    (void) state;
    int client;
    begin(&client);
    client_says(client, "a\nb\n");
    program_expects("a\nb\n");
    program_says("1\n2\n3\n");
    fixture_expect(client, "1\n2\n3\n");
    client_says(client, "\n");
    program_expects("\n");
    close(client);
}

static void lines_that_come_in_pieces(void **state)
{
    (void) state;
    int client;
    begin(&client);
    client_says(client, "a");
    program_expects("");
    client_says(client, "b\r\nc");
    program_expects("ab\n");
    program_says("1");
    fixture_expect(client, "");
    program_says("2\r\n\n3");
    fixture_expect(client, "12\r\n\r\n"); /* as the last request did */
    program_says("4\n");
    fixture_expect(client, "34\r\n");
    close(client);
}

static void a_client_may_be_early(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    client_says(client, "a\n--QUIT--\n");
    start_program();
    program_expects("a\n");
    program_expects_end();
    close(client);
}

static void a_session_that_ends_before_the_program_has_started(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    close(client);
    assert_true(fixture_run());
    assert_true(program.over);
    start_program(); /* the handler did not know yet */
}

static void no_program(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    stream_refuse(program.stream, PROTOCOL_UNAVAILABLE, "there is %s", "none");
    assert_true(fixture_run());
    fixture_expect_end(client, "-ERR unavailable there is none\n");
    close(client);
}

static void no_memory(void **state)
{
    (void) state;
    int client;
    program.no_memory = true;
    struct session *session = fixture_session(&client);
    assert_true(session->closed);
    fixture_expect_end(client, "");
    close(client);
}

/* ---- back-pressure ---- */

static void a_program_that_does_not_read(void **state)
{
    (void) state;
    int client;
    struct session *session = begin(&client);
    size_t sent = fill(client);
    assert_true(buffer_size(&session->pipes->input) < (256 + 128) << 10);
    program_says("1\n"); /* is not in the way of this */
    fixture_expect(client, "1\n");
    size_t got = 0, some;
    while ((some = empty(program.input)) > 0)
        got += some;
    assert_int_equal(got, sent);
    close(client);
}

static void a_client_that_does_not_read(void **state)
{
    (void) state;
    int client;
    struct session *session = begin(&client);
    size_t sent = fill(program.output);
    assert_true(buffer_size(&session->active->output) < (256 + 128) << 10);
    client_says(client, "a\n"); /* nor is that */
    program_expects("a\n");
    assert_int_equal(empty(client), sent);
    close(client);
}

static void errors_wait_behind_what_is_unsent(void **state)
{
    (void) state;
    int client;
    struct session *session = begin(&client);
    size_t sent = fill(program.output);
    char line[FIXTURE_MAX_MESSAGE + 3] = "";
    memset(line, 'x', FIXTURE_MAX_MESSAGE + 1);
    line[FIXTURE_MAX_MESSAGE + 1] = '\n';
    client_says(client, line);
    assert_int_equal(empty(client), sent + strlen("-ERR too-long too long\n"));
    assert_false(session->closed);
    close(client);
}

/* ---- ends ---- */

static void the_program_s_end(void **state)
{
    (void) state;
    int client;
    begin(&client);
    program_says("1\nhalf");
    close_fd(&program.output);
    assert_true(fixture_run());
    assert_true(program.over && program.stream->output_over);
    fixture_expect_end(client, "1\nhalf\n");
    close(client);
}

static void a_process_that_has_ended(void **state)
{
    (void) state;
    int client;
    begin(&client);
    assert_int_equal(write(program.output, "1\n2", 3), 3);
    stream_process_ended(program.stream);
    assert_true(fixture_run()); /* another one may still have the output open */
    assert_true(program.over);
    fixture_expect_end(client, "1\n2\n");
    close(client);
}

static void a_process_that_has_ended_while_the_client_does_not_read(void **state)
{
    (void) state;
    int client;
    begin(&client);
    size_t sent = fill(program.output);
    stream_process_ended(program.stream);
    assert_true(fixture_run());
    assert_false(program.over);
    assert_int_equal(empty(client), sent);
    assert_true(program.over);
    close(client);
}

static void a_program_that_closes_its_input(void **state)
{
    (void) state;
    int client;
    begin(&client);
    close_fd(&program.input);
    client_says(client, "a\n");
    client_says(client, "b\n");
    program_says("1\n");
    fixture_expect(client, "1\n");
    client_says(client, "--QUIT--\n");
    fixture_pass_ms(DRAIN_MS);
    assert_true(fixture_run());
    assert_true(program.over);
    close(client);
}

static void the_client_s_end(void **state)
{
    (void) state;
    int client;
    begin(&client);
    fixture_say(client, "a\n");
    shutdown(client, SHUT_WR);
    assert_true(fixture_run());
    program_expects("a\n");
    program_expects_end();
    fixture_pass_ms(DRAIN_MS - 1);
    program_says("1\n");
    fixture_expect(client, "1\n");
    assert_false(program.over);
    fixture_pass_ms(1);
    assert_true(fixture_run());
    assert_true(program.over && !program.stream->output_over);
    fixture_expect_end(client, "");
    close(client);
}

/* A program that goes on reading is given the time for that. */
static void the_time_for_the_rest_begins_with_the_end_of_the_input(void **state)
{
    (void) state;
    int client;
    char scrap[LARGE];
    begin(&client);
    fill(client);
    shutdown(client, SHUT_WR);
    do {
        fixture_pass_ms(DRAIN_MS - 1);
        assert_true(fixture_run());
        assert_false(program.over);
    } while (read(program.input, scrap, sizeof scrap) > 0);
    fixture_pass_ms(DRAIN_MS);
    assert_true(fixture_run());
    assert_true(program.over);
    close(client);
}

/* The client's end comes behind what is not read. */
static void a_client_that_leaves_a_program_that_does_not_read(void **state)
{
    (void) state;
    int client;
    fixture_config()->idle_timeout_ms = 0;
    begin(&client);
    fill(client);
    fixture_pass_ms(DRAIN_MS);
    assert_true(fixture_run());
    assert_false(program.over);
    shutdown(client, SHUT_WR);
    fixture_pass_ms(DRAIN_MS);
    assert_true(fixture_run());
    assert_true(program.over);
    close(client);
}

/* ---- time ---- */

static void silence(void **state)
{
    (void) state;
    int client;
    begin(&client);
    fixture_pass_ms(IDLE_MS - 1);
    program_says("1\n");
    fixture_pass_ms(IDLE_MS - 1);
    client_says(client, "a\n");
    fixture_expect(client, "1\n");
    fixture_pass_ms(IDLE_MS);
    assert_true(fixture_run());
    fixture_expect_end(client, "");
    assert_true(program.over);
    close(client);
}

static void the_wait_for_the_program_is_no_silence(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    for (int i = 0; i < 3; i++) {
        fixture_pass_ms(IDLE_MS);
        assert_true(fixture_run());
    }
    assert_false(session->closed || program.over);
    start_program();
    fixture_pass_ms(IDLE_MS - 1);
    assert_true(fixture_run());
    fixture_expect(client, "");
    close(client);
}

static void half_a_line(void **state)
{
    (void) state;
    int client;
    begin(&client);
    client_says(client, "half");
    fixture_pass_ms(REQUEST_MS);
    assert_true(fixture_run());
    fixture_expect(client, "-ERR incomplete it did not come in time\n");
    program_expects_end();
    close(client);
}

static void half_a_line_that_is_not_read(void **state)
{
    (void) state;
    int client;
    begin(&client);
    fill(client);
    fixture_pass_ms(REQUEST_MS);
    assert_true(fixture_run());
    fixture_expect(client, "");
    fixture_pass_ms(IDLE_MS);
    assert_true(fixture_run());
    fixture_expect_end(client, "");
    close(client);
}

static void nothing_is_read(void **state)
{
    (void) state;
    int client;
    struct session *session = begin(&client);
    fill(program.output);
    fixture_pass_ms(WRITE_MS);
    assert_true(fixture_run());
    assert_true(session->closed && program.over);
    close(client);
}

/* ---- the stop ---- */

static void the_stop(void **state)
{
    (void) state;
    int client;
    struct session *session = begin(&client);
    fixture_say(client, "a\nb\n");
    turn_drain(session, &fixture.scratch);
    assert_true(fixture_run());
    program_expects("a\nb\n");
    program_expects_end();
    program_says("1\n");
    fixture_expect(client, "1\n");
    turn_refuse(session);
    fixture_expect_end(client, "");
    assert_true(program.over);
    close(client);
}

static void the_stop_before_the_program_has_started(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    turn_drain(session, &fixture.scratch);
    assert_true(program.over);
    fixture_expect_end(client, "");
    close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RELAY_TEST(lines_go_both_ways),
        RELAY_TEST(lines_that_come_in_pieces),
        RELAY_TEST(a_client_may_be_early),
        RELAY_TEST(a_session_that_ends_before_the_program_has_started),
        RELAY_TEST(no_program),
        RELAY_TEST(no_memory),
        RELAY_TEST(a_program_that_does_not_read),
        RELAY_TEST(a_client_that_does_not_read),
        RELAY_TEST(errors_wait_behind_what_is_unsent),
        RELAY_TEST(the_program_s_end),
        RELAY_TEST(a_process_that_has_ended),
        RELAY_TEST(a_process_that_has_ended_while_the_client_does_not_read),
        RELAY_TEST(a_program_that_closes_its_input),
        RELAY_TEST(the_client_s_end),
        RELAY_TEST(the_time_for_the_rest_begins_with_the_end_of_the_input),
        RELAY_TEST(a_client_that_leaves_a_program_that_does_not_read),
        RELAY_TEST(silence),
        RELAY_TEST(the_wait_for_the_program_is_no_silence),
        RELAY_TEST(half_a_line),
        RELAY_TEST(half_a_line_that_is_not_read),
        RELAY_TEST(nothing_is_read),
        RELAY_TEST(the_stop),
        RELAY_TEST(the_stop_before_the_program_has_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
