/* test_session_output: replies in the order of the requests, whatever becomes of each; and
 * back-pressure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/session/input.h"
#include "server/session/output.h"
#include "server/session/socket.h"
#include "tests/unit/shard_fixture.h"

/* ---- the order ---- */

static void replies_keep_the_order_of_their_requests(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    fixture_ask(client, "a\nhold 1\nb\nhold 2\nc\n", "a\n");
    assert_int_equal(fixture.calls, 5);
    fixture_answer(1, "second");
    assert_true(fixture_run());
    fixture_expect(client, "");
    fixture_answer(0, "first");
    assert_true(fixture_run());
    fixture_expect(client, "first\nb\nsecond\nc\n");
    fixture_ask(client, "d\n", "d\n");
    close(client);
}

static const struct {
    const char *request, *reply;
} in_place[] = {
    {"forget\n", "-ERR handler-failed the handler has not answered\n"},
    {"0123456789012345678901234567890123456789012345678901234567890123456789"
     "0123456789012345678901234567890\n",
     "-ERR too-long too long\n"},
    {"lines\n", "-ERR handler-failed the handler's reply can't be sent: it holds a line feed\n"},
    {"-ERR stopping I am the server\n",
     "-ERR handler-failed the handler's reply can't be sent: its code is the server's alone\n"},
};

static void an_error_takes_the_place_of_its_reply(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    for (unsigned i = 0; i < sizeof in_place / sizeof in_place[0]; i++) {
        char replies[400];
        fixture_ask(client, in_place[i].request, in_place[i].reply);
        fixture_ask(client, "hold\n", "");
        fixture_ask(client, in_place[i].request, "");
        fixture_ask(client, "behind\n", "");
        fixture_answer(i, "before");
        assert_true(fixture_run());
        snprintf(replies, sizeof replies, "before\n%sbehind\n", in_place[i].reply);
        fixture_expect(client, replies);
    }
    close(client);
}

static void a_verdict_takes_the_place_of_an_answer_that_comes_later(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    fixture_ask(client, "hold\nbehind\n", "");
    assert_true(output_overrule(fixture.held[0], "unavailable", "now"));
    assert_false(output_overrule(fixture.held[0], "unavailable", "twice"));
    loop_ready(&fixture.shard.loop, &session->active->ready);
    assert_true(fixture_run());
    fixture_expect(client, "-ERR unavailable now\nbehind\n");
    fixture_answer(0, "late");
    fixture_ask(client, "more\n", "more\n");
    close(client);
    assert_int_equal(fixture_logged("An answer was dropped"), 1);
}

static void an_answer_to_a_session_that_has_ended_is_dropped_without_a_word(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    fixture_ask(client, "hold 1\nhold 2\nhold 3\n", "");
    fixture_answer(1, "on its way");
    close(client);
    assert_true(fixture_run());
    shard_free_dead(&fixture.shard);
    assert_int_equal(fixture.shard.store.count, 0);
    fixture_answer(0, "too late");
    request_release(fixture.held[2]); /* forgotten */
    fixture.held[2] = NULL;
    assert_true(fixture_run());
    assert_int_equal(fixture_logged("dropped"), 0);
}

static void behind_the_last_answer_nothing_is_run(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    fixture_say(client, "a\nlast\nbehind\n");
    assert_true(fixture_run());
    fixture_expect_end(client, "a\nlast\n");
    assert_int_equal(fixture.calls, 2);
    close(client);
}

/* ---- times ---- */

static void expect_latency(const struct latency_counter *counter, uint64_t count, int64_t least_ns)
{
    struct latency latency = {0};
    latency_sum(&latency, counter);
    assert_int_equal(latency.count, count);
    assert_true((int64_t) latency.nanoseconds >= least_ns);
}

/* Begins a batch that began this long ago. */
static void begin_batch(int64_t seconds)
{
    fixture.shard.loop.batch_ns = clock_ns(CLOCK_MONOTONIC) - seconds * 1000000000;
}

static void each_reply_is_measured_once(void **state)
{
    (void) state;
    int client;
    const struct counters *counters = &fixture.shard.counters;
    fixture_session(&client);
    begin_batch(100);
    fixture_ask(client, "a\nhold\nbehind\nforget\nb\n", "a\n");
    shard_measure(&fixture.shard);
    shard_measure(&fixture.shard);
    expect_latency(&counters->latency_at_once, 1, 100000000000);
    begin_batch(0);
    fixture_answer(0, "late");
    assert_true(fixture_run());
    fixture_expect(client, "late\nbehind\n-ERR handler-failed the handler has not answered\nb\n");
    shard_measure(&fixture.shard);
    expect_latency(&counters->latency_at_once, 1, 0);
    expect_latency(&counters->latency_late, 4, 400000000000);
    assert_int_equal(counter_get(&fixture.shard.loop.served), 5);
    close(client);
}

static void what_gets_no_reply_is_not_measured(void **state)
{
    (void) state;
    int client;
    const struct counters *counters = &fixture.shard.counters;
    fixture_session(&client);
    begin_batch(100);
    fixture_ask(client, "hold\n", "");
    close(client);
    assert_true(fixture_run());
    shard_measure(&fixture.shard);
    expect_latency(&counters->latency_at_once, 0, 0);
    expect_latency(&counters->latency_late, 0, 0);
}

/* ---- bounds ---- */

static void a_turn_delivers_up_to_its_bound(void **state)
{
    (void) state;
    enum { REPLY_BYTES = SESSION_MAX_UNSENT / 4 + 1, REPLIES = 6, FIRST = 4 };
    static char reply[REPLY_BYTES];
    struct session *session = fixture_session_without_socket();
    struct buffer *output = &fixture.scratch.output;
    memset(reply, 'x', sizeof reply);
    assert_non_null(session_activate(session));
    for (int i = 0; i < REPLIES; i++) {
        struct request *request = request_new(&fixture.handler, &turn_asker, NULL);
        request_start(request, &fixture.shard.loop, session, 1, "", 0);
        request_reply(request, reply, sizeof reply);
        output_queue_late(session, request);
        request_release(request);
    }
    output_deliver(session, &fixture.scratch);
    assert_int_equal(session->active->pending, REPLIES - FIRST);
    assert_int_equal(buffer_size(output), FIRST * (REPLY_BYTES + 1));
    output_deliver(session, &fixture.scratch);
    assert_int_equal(session->active->pending, REPLIES - FIRST);
    buffer_clear(output);
    assert_true(output_deliverable(session));
    output_deliver(session, &fixture.scratch);
    assert_int_equal(buffer_size(output), (REPLIES - FIRST) * (REPLY_BYTES + 1));
    assert_false(output_pending(session));
}

static void a_session_has_no_more_requests_under_way_than_the_bound(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    for (int i = 0; i < SESSION_MAX_PENDING + 3; i++)
        fixture_say(client, "hold\n");
    fixture_ask(client, "end\n", "");
    assert_int_equal(fixture.calls, SESSION_MAX_PENDING);
    assert_false(input_open(session));
    for (unsigned i = 0; i < SESSION_MAX_PENDING + 3; i++) {
        fixture_answer(i, "x");
        assert_true(fixture_run());
        assert_int_equal(fixture.held_count < SESSION_MAX_PENDING + 3,
                         i + 1 < 3); /* one more for each that was answered */
        fixture_expect(client, i + 1 < SESSION_MAX_PENDING + 3 ? "x\n" : "x\nend\n");
    }
    close(client);
}

static void replies_that_wait_are_bounded(void **state)
{
    (void) state;
    enum { HELD_BYTES = 1 << 20, BEFORE = SESSION_MAX_REPLIES / HELD_BYTES };
    enum { REPLY_BYTES = HELD_BYTES - 100 /* with what its buffer has to spare */ };
    int client;
    char request[32];
    struct session *session = fixture_session(&client);
    fixture_ask(client, "hold\n", "");
    snprintf(request, sizeof request, "big %d\n", REPLY_BYTES);
    for (int i = 0; i < BEFORE + 10; i++)
        fixture_say(client, request);
    assert_true(fixture_run());
    assert_int_equal(fixture.calls, 1 + BEFORE + 1);
    assert_false(input_open(session));
    fixture_answer(0, "x");
    static char text[1 << 16];
    for (size_t left = 2 + (size_t) (BEFORE + 10) * (REPLY_BYTES + 1); left > 0;) {
        assert_true(fixture_run());
        ssize_t got = recv(client, text, sizeof text, MSG_DONTWAIT);
        assert_true(got > 0);
        left -= (size_t) got;
    }
    assert_true(fixture_run());
    assert_int_equal(fixture.calls, 1 + BEFORE + 10);
    assert_null(session->active);
    close(client);
}

/* ---- back-pressure ---- */

/* Reads what there is now. Returns how much that is; the last bytes are in `tail`. */
static size_t read_all(int client, char tail[8])
{
    static char text[1 << 16];
    size_t size = 0;
    for (ssize_t got; (got = recv(client, text, sizeof text, MSG_DONTWAIT)) > 0;
         size += (size_t) got)
        snprintf(tail, 8, "%.*s", 7, got > 7 ? text + got - 7 : text);
    return size;
}

static void nothing_is_read_or_called_while_output_is_unsent(void **state)
{
    (void) state;
    enum { REPLY_BYTES = 2000000 };
    int client;
    struct session *session = fixture_session(&client);
    fixture_say(client, "big 2000000\nnext\n");
    assert_true(fixture_run());
    assert_true(output_unsent(session));
    assert_false(input_wants_bytes(session));
    assert_true(session->watches_out);
    assert_int_equal(fixture.calls, 1);

    fixture_say(client, "behind\n");
    assert_true(fixture_run());
    assert_false(session->watches_in); /* it is not woken for nothing again and again */
    assert_int_equal(fixture.calls, 1);

    char tail[8] = "";
    size_t size = 0;
    while (size < REPLY_BYTES + 1 + strlen("next\nbehind\n")) {
        assert_int_equal(fixture.calls > 1, !output_unsent(session));
        size += read_all(client, tail);
        assert_true(fixture_run());
    }
    assert_int_equal(fixture.calls, 3);
    assert_string_equal(tail, "behind\n");
    assert_false(session->watches_out);
    assert_true(session->watches_in);
    assert_null(session->active);
    close(client);
}

static void replies_that_are_ready_wait_for_what_is_unsent(void **state)
{
    (void) state;
    int client;
    char tail[8] = "";
    struct session *session = fixture_session(&client);
    fixture_ask(client, "hold\n", "");
    fixture_ask(client, "hold\n", "");
    fixture_big(fixture.held[0], 2000000);
    request_release(fixture.held[0]);
    fixture.held[0] = NULL;
    assert_true(fixture_run());
    assert_true(output_unsent(session));
    fixture_answer(1, "second");
    assert_true(fixture_run());
    assert_false(output_deliverable(session));
    assert_true(output_pending(session));
    for (size_t size = 0; size < 2000001 + strlen("second\n");) {
        size += read_all(client, tail);
        assert_true(fixture_run());
    }
    assert_string_equal(tail, "second\n");
    close(client);
}

/* Two ends of a TCP connection, ours as a listener makes them. */
static void connect_tcp(int *server, int *client)
{
    struct listeners listeners = {0};
    struct error error;
    assert_true(listeners_open(&listeners, "127.0.0.1:0", &error));
    const struct address *address = &listeners.items[0].address;
    *client = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*client, &address->socket.any, address->size), 0);
    *server = accept4(listeners.items[0].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(*server >= 0);
    listeners_close(&listeners);
}

static int kernel_may_hold(int fd)
{
    int bytes = 0;
    socklen_t length = sizeof bytes;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, &length), 0);
    return bytes;
}

static const struct {
    const char *request;
    enum memory_level level;
    bool may_hold_more;
} not_read[] = {
    {"big 1000\n", MEMORY_FREE, false},
    {"big 8000000\n", MEMORY_FREE, true},
    {"big 8000000\n", MEMORY_SHORT, false},
};

static void the_kernel_holds_more_of_a_large_reply_while_there_is_memory(void **state)
{
    (void) state;
    for (unsigned i = 0; i < sizeof not_read / sizeof not_read[0]; i++) {
        int server, client;
        connect_tcp(&server, &client);
        int before = kernel_may_hold(server);
        fixture_session_on(server);
        fixture.memory.level = not_read[i].level;
        fixture_say(client, not_read[i].request);
        assert_true(fixture_run());
        assert_int_equal(fixture.calls, i + 1);
        assert_int_equal(kernel_may_hold(server),
                         not_read[i].may_hold_more ? SOCKET_LARGE_BYTES : before);
        close(client);
        assert_true(fixture_run());
    }
}

static void sent_and_received_bytes_are_counted(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    fixture_ask(client, "abc\nde\n", "abc\nde\n");
    assert_int_equal(counter_get(&fixture.shard.counters.received), 7);
    assert_int_equal(counter_get(&fixture.shard.counters.sent), 7);
    assert_int_equal(counter_get(&fixture.shard.loop.served), 2);
    close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(replies_keep_the_order_of_their_requests),
        FIXTURE_TEST(an_error_takes_the_place_of_its_reply),
        FIXTURE_TEST(a_verdict_takes_the_place_of_an_answer_that_comes_later),
        FIXTURE_TEST(an_answer_to_a_session_that_has_ended_is_dropped_without_a_word),
        FIXTURE_TEST(behind_the_last_answer_nothing_is_run),
        FIXTURE_TEST(each_reply_is_measured_once),
        FIXTURE_TEST(what_gets_no_reply_is_not_measured),
        FIXTURE_TEST(a_turn_delivers_up_to_its_bound),
        FIXTURE_TEST(a_session_has_no_more_requests_under_way_than_the_bound),
        FIXTURE_TEST(replies_that_wait_are_bounded),
        FIXTURE_TEST(nothing_is_read_or_called_while_output_is_unsent),
        FIXTURE_TEST(replies_that_are_ready_wait_for_what_is_unsent),
        FIXTURE_TEST(the_kernel_holds_more_of_a_large_reply_while_there_is_memory),
        FIXTURE_TEST(sent_and_received_bytes_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
