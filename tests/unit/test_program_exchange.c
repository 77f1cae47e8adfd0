/* test_program_exchange: what is written to a program for a request, and how it is answered. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/protocol.h"
#include "server/handlers/program/exchange.h"
#include "server/net/listener.h"
#include "server/request_owner.h"

/* The exchange has the handler's hold; the test has the engine's reference. */
static struct request *begin(struct exchange *exchange, const char *message, size_t size)
{
    struct request *request = request_new(NULL, NULL, NULL);
    *exchange = (struct exchange){0};
    assert_non_null(request);
    request_start(request, NULL, NULL, 1, message, size);
    assert_true(request_hold(request));
    request_release(request);
    exchange_begin(exchange, request);
    return request;
}

static void end(struct exchange *exchange, struct request *request)
{
    exchange_end(exchange);
    exchange_fini(exchange);
    assert_null(exchange->request);
    request_unref(request);
}

static void assert_reply(const struct request *request, const char *reply)
{
    assert_int_equal(buffer_size(&request->reply), strlen(reply));
    if (*reply)
        assert_memory_equal(buffer_head(&request->reply), reply, strlen(reply));
}

#define END "\nend it\n"

static void test_writes_a_line_as_there_is_room(void **state)
{
    (void) state;
    enum { SIZE = 300000 };
    static char message[SIZE], seen[SIZE + 20];
    int fds[2];
    struct exchange exchange;
    for (size_t i = 0; i < SIZE; i++)
        message[i] = (char) ('a' + i % 26);
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    struct request *request = begin(&exchange, message, SIZE);
    size_t size = 0;
    unsigned blocked = 0;
    while (exchange_write(&exchange, fds[1], END, strlen(END)) == EXCHANGE_BLOCKED) {
        assert_false(exchange_is_written(&exchange, strlen(END)));
        ssize_t got = read(fds[0], seen + size, sizeof seen - size);
        assert_true(got > 0);
        size += (size_t) got;
        blocked++;
    }
    assert_true(blocked > 0);
    assert_true(exchange_is_written(&exchange, strlen(END)));
    for (ssize_t got; (got = read(fds[0], seen + size, sizeof seen - size)) > 0;)
        size += (size_t) got;
    assert_int_equal(size, SIZE + strlen(END));
    assert_memory_equal(seen, message, SIZE);
    assert_memory_equal(seen + SIZE, END, strlen(END));
    close(fds[0]);
    end(&exchange, request);
    request = begin(&exchange, "more", 4);
    assert_int_equal(exchange_write(&exchange, fds[1], END, strlen(END)), EXCHANGE_CLOSED);
    close(fds[1]);
    end(&exchange, request);
}

static void test_refuses_once_and_in_time(void **state)
{
    (void) state;
    struct exchange exchange;
    struct request *request = begin(&exchange, "x", 1);
    exchange_refuse(&exchange, PROTOCOL_UNAVAILABLE, "not now");
    exchange_refuse(&exchange, PROTOCOL_HANDLER_FAILED, "not at all");
    exchange_reply(&exchange, "yes", 3);
    assert_reply(request, "-ERR unavailable not now");
    end(&exchange, request);
    /* One that is over: the client has left. */
    request = begin(&exchange, "x", 1);
    assert_true(request_cancel(request));
    exchange_reply(&exchange, "late", 4);
    assert_true(exchange.replied);
    exchange_refuse(&exchange, PROTOCOL_UNAVAILABLE, "not now");
    assert_reply(request, "");
    end(&exchange, request);
}

static void test_replies(void **state)
{
    (void) state;
    struct exchange exchange;
    struct request *request = begin(&exchange, "x", 1);
    exchange_reply(&exchange, "yes", 3);
    assert_true(exchange.replied);
    assert_reply(request, "yes");
    end(&exchange, request);
}

/* One that no program has read goes to another one. */
static void test_gives_the_request_back(void **state)
{
    (void) state;
    struct exchange exchange;
    struct request *request = begin(&exchange, "x", 1);
    assert_ptr_equal(exchange_return(&exchange), request);
    assert_null(exchange.request);
    exchange_begin(&exchange, request);
    assert_false(exchange.replied);
    exchange_reply(&exchange, "yes", 3);
    assert_reply(request, "yes");
    end(&exchange, request);
}

/* ---- several requests ---- */

enum { SEVERAL = 4 };

static const struct reply_rules newline = {.end = REPLY_END_NEWLINE, .one_line = true};

static void begin_several(struct exchange *exchange, struct request **requests)
{
    static const char *const messages[SEVERAL] = {"one", "", "three", "four"};
    requests[0] = begin(exchange, messages[0], strlen(messages[0]));
    for (int i = 1; i < SEVERAL; i++) {
        struct exchange one;
        requests[i] = begin(&one, messages[i], strlen(messages[i]));
        assert_true(exchange_add(exchange, requests[i]));
    }
    assert_true(exchange_has_several(exchange));
}

/* Each reply has a bar behind it. */
static void end_several(struct exchange *exchange, struct request **requests, const char *replies)
{
    char text[200] = "";
    exchange_end(exchange);
    exchange_fini(exchange);
    for (int i = 0; i < SEVERAL; i++) {
        const struct buffer *reply = &requests[i]->reply;
        if (buffer_size(reply) > 0)
            strncat(text, buffer_head(reply), buffer_size(reply));
        strcat(text, "|");
        request_unref(requests[i]);
    }
    assert_string_equal(text, replies);
}

/* Whatever was written before, the rest is written. */
static void test_writes_several(void **state)
{
    (void) state;
    static const char all[] = "one\n$\n\n$\nthree\n$\nfour\n$\n";
    static const char end[] = "\n$\n";
    for (size_t written = 0; written < strlen(all); written++) {
        struct exchange exchange;
        struct request *requests[SEVERAL];
        char seen[100];
        int fds[2];
        assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
        begin_several(&exchange, requests);
        exchange.written = written;
        assert_false(exchange_is_written(&exchange, strlen(end)));
        assert_int_equal(exchange_write(&exchange, fds[1], end, strlen(end)), EXCHANGE_WRITTEN);
        assert_true(exchange_is_written(&exchange, strlen(end)));
        assert_int_equal(read(fds[0], seen, sizeof seen), strlen(all) - written);
        assert_memory_equal(seen, all + written, strlen(all) - written);
        close(fds[0]);
        close(fds[1]);
        exchange_refuse(&exchange, "no", "all");
        end_several(&exchange, requests, "-ERR no all|-ERR no all|-ERR no all|-ERR no all|");
    }
}

/* What has been answered, how much of the 16 bytes is unread then, and whether that is the whole of
 * the next request. */
static void test_replies_to_several(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        size_t unread;
        bool is_unread;
        const char *replies; /* when the next one is refused, and the others are given back */
    } cases[] = {
        {"", 16, true, "-ERR no next||||"},          {"", 15, false, "-ERR no next||||"},
        {"a\n", 12, true, "a|-ERR no next|||"},      {"a\n", 11, false, "a|-ERR no next|||"},
        {"a\nb\nc", 11, true, "a|b|-ERR no next||"}, {"a\n\nc\n", 0, false, "a||c|-ERR no next|"},
        {"a\nb\nc\nd\n", 0, false, "a|b|c|d|"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct exchange exchange;
        struct request *requests[SEVERAL], *back;
        begin_several(&exchange, requests);
        exchange.written = 16;
        assert_true(answer_add(&exchange.answer, &newline, cases[i].text, strlen(cases[i].text)));
        exchange_reply_each(&exchange, &newline);
        if (!exchange.replied)
            assert_int_equal(exchange_is_unread(&exchange, 1, cases[i].unread), cases[i].is_unread);
        exchange_refuse_first(&exchange, "no", "next");
        while (!exchange.replied && (back = exchange_return(&exchange))) {
            assert_false(request_is_over(back));
            assert_true(request_cancel(back));
            request_release(back);
        }
        end_several(&exchange, requests, cases[i].replies);
    }
}

/* Those that are left go to another program together. */
static void test_gives_several_anew(void **state)
{
    (void) state;
    struct exchange exchange;
    struct request *requests[SEVERAL];
    begin_several(&exchange, requests);
    exchange.written = 16;
    assert_true(answer_add(&exchange.answer, &newline, "a\n", 2));
    exchange_reply_each(&exchange, &newline);
    assert_true(request_cancel(requests[1])); /* its client has left */
    exchange_again(&exchange);
    assert_ptr_equal(exchange.request, requests[2]);
    assert_int_equal(exchange.count, 2);
    assert_int_equal(exchange.size, 9);
    assert_int_equal(exchange.written, 0);
    assert_true(answer_add(&exchange.answer, &newline, "c\nd\n", 4));
    assert_false(exchange.answer.surplus);
    exchange_reply_each(&exchange, &newline);
    assert_true(exchange.replied);
    end_several(&exchange, requests, "a||c|d|");
}

/* What is told of the client counts, in each request, as what stands behind it does. */
static void test_tells_who_asks(void **state)
{
    (void) state;
    static struct listeners listeners;
    struct sockaddr_in *v4 = &listeners.items[0].address.socket.v4;
    static const char told[] = "127.0.0.1:7\t-\tone\n127.0.0.1:7\t-\ttwo\n";
    size_t first = strlen("127.0.0.1:7\t-\tone\n");
    char seen[100];
    int fds[2];
    struct exchange exchange = {.tells = true};
    struct request *requests[2];
    v4->sin_family = AF_INET;
    for (int i = 0; i < 2; i++) {
        requests[i] = request_new(NULL, NULL, NULL);
        assert_non_null(requests[i]);
        requests[i]->listeners = &listeners;
        request_start(requests[i], NULL, NULL, 1, i ? "two" : "one", 3);
        request_set_peer(requests[i], &(struct peer){.v4 = {{htonl(INADDR_LOOPBACK)}, htons(7)}},
                         0);
        assert_true(request_hold(requests[i]));
        request_release(requests[i]);
    }
    exchange_begin(&exchange, requests[0]);
    assert_true(exchange_add(&exchange, requests[1]));
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    assert_false(exchange_is_written(&exchange, 1));
    assert_int_equal(exchange_write(&exchange, fds[1], "\n", 1), EXCHANGE_WRITTEN);
    assert_int_equal(read(fds[0], seen, sizeof seen), strlen(told));
    assert_memory_equal(seen, told, strlen(told));
    assert_true(exchange_is_unread(&exchange, 1, strlen(told)));
    assert_false(exchange_is_unread(&exchange, 1, strlen(told) - 1));
    exchange_refuse_first(&exchange, PROTOCOL_HANDLER_FAILED, "why");
    assert_true(exchange_is_unread(&exchange, 1, strlen(told) - first));
    assert_false(exchange_is_unread(&exchange, 1, strlen(told) - first - 1));
    exchange_again(&exchange);
    assert_false(exchange_is_written(&exchange, 1));
    assert_int_equal(exchange_write(&exchange, fds[1], "\n", 1), EXCHANGE_WRITTEN);
    assert_int_equal(read(fds[0], seen, sizeof seen), strlen(told) - first);
    assert_memory_equal(seen, told + first, strlen(told) - first);
    request_unref(requests[0]);
    end(&exchange, requests[1]);
    close(fds[0]);
    close(fds[1]);
}

static void test_what_is_told_can_break_no_line(void **state)
{
    (void) state;
    static struct listeners listeners;
    struct address *address = &listeners.items[0].address;
    static const char last[] = "\\x01\tuid=4294967294\t";
    char told[TELLING_SIZE];
    static const char expected[] = "unix:a\\tb\\nc\\x1b\t-\t";
    struct request *request = request_new(NULL, NULL, NULL);
    assert_non_null(request);
    strcpy(address->socket.local.sun_path, "a\tb\nc\x1b");
    address->socket.local.sun_family = AF_UNIX;
    address->size = sizeof address->socket.local;
    request->listeners = &listeners;
    request_start(request, NULL, NULL, 1, "x", 1);
    size_t size = telling_write(request, told);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(told, expected, size);
    /* The longest there is. */
    memset(address->socket.local.sun_path, 1, sizeof address->socket.local.sun_path);
    request->peer.local.uid = (uid_t) -2;
    request->peer.local.is_known = true;
    size = telling_write(request, told);
    assert_true(size <= sizeof told);
    assert_memory_equal(told + size - strlen(last), last, strlen(last));
    request_free(request);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_writes_a_line_as_there_is_room),
        cmocka_unit_test(test_refuses_once_and_in_time),
        cmocka_unit_test(test_gives_the_request_back),
        cmocka_unit_test(test_writes_several),
        cmocka_unit_test(test_replies_to_several),
        cmocka_unit_test(test_gives_several_anew),
        cmocka_unit_test(test_tells_who_asks),
        cmocka_unit_test(test_what_is_told_can_break_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
