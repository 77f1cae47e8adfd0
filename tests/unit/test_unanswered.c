/* unanswered requests: what a second connection sends again, in each codec and at each reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/conversation_state.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define LONGEST_KEPT ((size_t) 1 << 20)

struct talk {
    struct conversation *conversation;
    int server; /* its socket */
    struct buffer received;
};

static void begin(struct talk *talk, enum frame_codec codec)
{
    struct conversation_settings settings = {.codec = codec, .keeps_unanswered = true};
    int fds[2];
    talk->conversation = calloc(1, sizeof *talk->conversation);
    assert_non_null(talk->conversation);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    conversation_init(talk->conversation, fds[0], &settings);
    talk->server = fds[1];
}

static void end(struct talk *talk)
{
    conversation_close(talk->conversation);
    close(talk->server);
    buffer_fini(&talk->received);
}

/* Another connection in the place of the present one. */
static void reconnect(struct talk *talk)
{
    struct talk next = {0};
    begin(&next, talk->conversation->rules.codec);
    assert_true(conversation_can_resume(talk->conversation));
    conversation_resume(next.conversation, talk->conversation);
    assert_false(conversation_has_sent(next.conversation));
    end(talk);
    *talk = next;
}

/* One turn of the loop around poll(2); the server takes what comes. */
static void turn(struct talk *talk)
{
    struct pollfd fd;
    struct frame frame;
    conversation_poll(talk->conversation, true, &fd);
    if (poll(&fd, 1, 0) > 0)
        conversation_step(talk->conversation, fd.revents);
    while (conversation_next(talk->conversation, &frame) == CONVERSATION_REPLY)
        ;
    ssize_t size;
    do {
        assert_true(buffer_reserve(&talk->received, 1 << 16));
        size = recv(talk->server, buffer_tail(&talk->received), 1 << 16, 0);
        buffer_added(&talk->received, size > 0 ? (size_t) size : 0);
    } while (size > 0);
}

static void answer(struct talk *talk, size_t count)
{
    for (; count > 0; count--) {
        enum frame_codec codec = talk->conversation->rules.codec;
        struct buffer reply = {0};
        assert_int_equal(frame_put(&reply, codec, "ok", 2, 100), FRAME_FITS);
        assert_true(send(talk->server, buffer_head(&reply), buffer_size(&reply), 0) > 0);
        buffer_fini(&reply);
        turn(talk);
    }
}

static void ask(struct talk *talk, const char *message)
{
    const char *why;
    assert_true(conversation_takes_requests(talk->conversation));
    assert_int_equal(conversation_ask(talk->conversation, message, strlen(message), &why),
                     CONVERSATION_ASKED);
}

static void expect_received(struct talk *talk, const char *expected)
{
    assert_int_equal(buffer_size(&talk->received), strlen(expected));
    assert_memory_equal(buffer_head(&talk->received), expected, strlen(expected));
    buffer_clear(&talk->received);
}

static void test_each_codec_at_each_reply(void **state)
{
    (void) state;
    static const struct {
        enum frame_codec codec;
        const char *again[4]; /* what is sent again if so many are answered */
    } cases[] = {
        {FRAME_LINE, {"one\n\nthree\n", "\nthree\n", "three\n", ""}},
        {FRAME_CRLF, {"one\r\n\r\nthree\r\n", "\r\nthree\r\n", "three\r\n", ""}},
        {FRAME_BLOCK, {"one\n\nthree\n", "\nthree\n", "three\n", ""}},
        {FRAME_NETSTRING, {"3:one,0:,5:three,", "0:,5:three,", "5:three,", ""}},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        for (size_t answered = 0; answered < 4; answered++) {
            struct talk talk = {0};
            begin(&talk, cases[i].codec);
            ask(&talk, "one");
            turn(&talk);
            ask(&talk, "");
            ask(&talk, "three");
            turn(&talk);
            expect_received(&talk, cases[i].again[0]);
            answer(&talk, answered);
            reconnect(&talk);
            assert_int_equal(conversation_owed(talk.conversation), 3 - answered);
            turn(&talk);
            expect_received(&talk, cases[i].again[answered]);
            answer(&talk, 3 - answered);
            assert_int_equal(conversation_replies(talk.conversation), 3);
            assert_int_equal(buffer_size(&talk.conversation->outgoing), 0);
            end(&talk);
        }
    }
}

static void test_raw_has_one_at_a_time(void **state)
{
    (void) state;
    struct talk talk = {0};
    begin(&talk, FRAME_RAW);
    ask(&talk, "one");
    turn(&talk);
    expect_received(&talk, "one");
    reconnect(&talk);
    turn(&talk);
    expect_received(&talk, "one");
    answer(&talk, 1);
    reconnect(&talk);
    turn(&talk);
    expect_received(&talk, "");
    end(&talk);
}

/* As a script asks. It is lost in the middle again and again, also before anything was sent. */
static void test_lines_at_once(void **state)
{
    (void) state;
    struct talk talk = {0};
    begin(&talk, FRAME_LINE);
    assert_true(conversation_ask_lines(talk.conversation, "a\nb\nc\nd\n", 8, 4));
    reconnect(&talk);
    turn(&talk);
    answer(&talk, 1);
    expect_received(&talk, "a\nb\nc\nd\n");
    reconnect(&talk);
    assert_true(conversation_ask_lines(talk.conversation, "e\n", 2, 1));
    turn(&talk);
    expect_received(&talk, "b\nc\nd\ne\n");
    answer(&talk, 3);
    reconnect(&talk);
    turn(&talk);
    expect_received(&talk, "e\n");
    assert_int_equal(conversation_requests(talk.conversation), 5);
    end(&talk);
}

/* It is said once what was asked is answered, on each connection. */
static void test_quit_is_no_request(void **state)
{
    (void) state;
    struct talk talk = {0};
    begin(&talk, FRAME_LINE);
    ask(&talk, "one");
    conversation_quit(talk.conversation);
    turn(&talk);
    reconnect(&talk);
    turn(&talk);
    answer(&talk, 1);
    turn(&talk);
    turn(&talk);
    expect_received(&talk, "one\n--QUIT--\n");
    end(&talk);
}

static void test_request_in_pieces(void **state)
{
    (void) state;
    struct talk talk = {0};
    begin(&talk, FRAME_LINE);
    ask(&talk, "one");
    assert_true(conversation_begin(talk.conversation, "tw", 2));
    turn(&talk);
    answer(&talk, 1);
    reconnect(&talk);
    turn(&talk);
    ask(&talk, "o");
    turn(&talk);
    expect_received(&talk, "two\n");
    reconnect(&talk);
    turn(&talk);
    expect_received(&talk, "two\n");
    end(&talk);
}

/* As one that is too long; its rest must not become a request. */
static void test_request_answered_before_its_end(void **state)
{
    (void) state;
    struct talk talk = {0};
    begin(&talk, FRAME_LINE);
    assert_true(conversation_begin(talk.conversation, "beginning", 9));
    turn(&talk);
    answer(&talk, 1);
    reconnect(&talk);
    assert_true(conversation_begin(talk.conversation, "middle", 6));
    ask(&talk, "end");
    ask(&talk, "next");
    turn(&talk);
    expect_received(&talk, "next\n");
    assert_int_equal(conversation_requests(talk.conversation), 2);
    end(&talk);
}

/* Memory is bounded; what was let go can't be sent again until it is answered. */
static void test_request_too_long_to_keep(void **state)
{
    (void) state;
    static char piece[1 << 16];
    struct talk talk = {0};
    begin(&talk, FRAME_LINE);
    memset(piece, 'x', sizeof piece);
    ask(&talk, "first");
    for (size_t sent = 0; sent <= 2 * LONGEST_KEPT; sent += sizeof piece) {
        while (conversation_unsent(talk.conversation) > 0)
            turn(&talk);
        buffer_clear(&talk.received);
        assert_true(conversation_takes_requests(talk.conversation));
        assert_true(conversation_begin(talk.conversation, piece, sizeof piece));
        assert_true(buffer_size(&talk.conversation->outgoing) <= LONGEST_KEPT + 2 * sizeof piece);
    }
    assert_false(conversation_can_resume(talk.conversation));
    ask(&talk, "");
    ask(&talk, "next");
    turn(&talk);
    answer(&talk, 1);
    assert_false(conversation_can_resume(talk.conversation));
    answer(&talk, 1);
    reconnect(&talk);
    turn(&talk);
    expect_received(&talk, "next\n");
    end(&talk);
}

static void test_full_window_takes_no_requests(void **state)
{
    (void) state;
    static char line[1 << 12];
    struct talk talk = {0};
    size_t count = 0;
    begin(&talk, FRAME_LINE);
    memset(line, 'x', sizeof line - 1);
    for (size_t full = 0; full < 2; full += !conversation_takes_requests(talk.conversation)) {
        for (; conversation_takes_requests(talk.conversation); count++)
            ask(&talk, line);
        turn(&talk);
    }
    assert_in_range(count * sizeof line, 1 << 16, 1 << 20);
    answer(&talk, count);
    assert_true(conversation_takes_requests(talk.conversation));
    end(&talk);
}

static void collect(void *context, const char *message, size_t size)
{
    buffer_append(context, message, size);
    buffer_append(context, "|", 1);
}

static void test_visit(void **state)
{
    (void) state;
    static const enum frame_codec codecs[] = {FRAME_LINE, FRAME_CRLF, FRAME_NETSTRING};
    for (size_t i = 0; i < LENGTH(codecs); i++) {
        struct talk talk = {0};
        struct buffer visited = {0};
        begin(&talk, codecs[i]);
        ask(&talk, "one");
        ask(&talk, "two");
        ask(&talk, "");
        turn(&talk);
        answer(&talk, 1);
        shutdown(talk.server, SHUT_WR);
        while (!conversation_ended(talk.conversation))
            turn(&talk);
        conversation_each_unanswered(talk.conversation, collect, &visited);
        assert_int_equal(buffer_size(&visited), 5);
        assert_memory_equal(buffer_head(&visited), "two||", 5);
        buffer_fini(&visited);
        end(&talk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_codec_at_each_reply),
        cmocka_unit_test(test_raw_has_one_at_a_time),
        cmocka_unit_test(test_lines_at_once),
        cmocka_unit_test(test_quit_is_no_request),
        cmocka_unit_test(test_request_in_pieces),
        cmocka_unit_test(test_request_answered_before_its_end),
        cmocka_unit_test(test_request_too_long_to_keep),
        cmocka_unit_test(test_full_window_takes_no_requests),
        cmocka_unit_test(test_visit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
