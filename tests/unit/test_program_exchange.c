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

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_writes_a_line_as_there_is_room),
        cmocka_unit_test(test_refuses_once_and_in_time),
        cmocka_unit_test(test_gives_the_request_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
