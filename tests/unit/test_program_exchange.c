/*
 * test_program_exchange: what is written to a program for a request, what it may write back, and
 * when it can't be trusted any more.
 */
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
    assert_null(exchange->request);
    request_unref(request);
}

static void assert_reply(const struct request *request, const char *reply)
{
    assert_int_equal(buffer_size(&request->reply), strlen(reply));
    if (*reply)
        assert_memory_equal(buffer_head(&request->reply), reply, strlen(reply));
}

#define MORE "the program has answered more than one line"

static void test_answers(void **state)
{
    (void) state;
    /* Parts are separated by '|'. A reply of NULL: the request is not answered. */
    static const struct {
        const char *parts, *reply, *failure;
        bool in_answer;
    } cases[] = {
        {"yes\n", "yes", NULL, false},
        {"\n", "", NULL, false},
        {"yes\r\n", "yes", NULL, false},
        {"\r\n", "", NULL, false},
        {"y\re\rs\n", "y\re\rs", NULL, false},
        {"y|es|\n", "yes", NULL, false},
        {"yes\r|\n", "yes", NULL, false},
        {"yes", NULL, NULL, true},
        {"y|e", NULL, NULL, true},
        {"yes\nno", NULL, MORE, false},
        {"yes\n\n", NULL, MORE, false},
        {"y|es\nno", NULL, MORE, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct exchange exchange;
        struct request *request = begin(&exchange, "really?", 7);
        const char *failure = NULL;
        for (const char *part = cases[i].parts; *part && !failure;) {
            size_t size = strcspn(part, "|");
            failure = exchange_take(&exchange, part, size);
            part += size + (part[size] == '|');
        }
        if (cases[i].failure)
            assert_string_equal(failure, cases[i].failure);
        else
            assert_null(failure);
        assert_int_equal(exchange.replied, cases[i].reply != NULL);
        if (cases[i].reply)
            assert_reply(request, cases[i].reply);
        if (!cases[i].failure)
            assert_int_equal(exchange_is_in_answer(&exchange), cases[i].in_answer);
        end(&exchange, request);
    }
}

static void test_longest_answer(void **state)
{
    (void) state;
    static const struct {
        size_t size;
        const char *end;
        bool too_long;
    } cases[] = {
        {PROTOCOL_MAX_REPLY, "\n", false},
        {PROTOCOL_MAX_REPLY, "\r\n", false},
        {PROTOCOL_MAX_REPLY + 1, "\n", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = cases[i].size + strlen(cases[i].end);
        char *line = malloc(size);
        memset(line, 'x', cases[i].size);
        memcpy(line + cases[i].size, cases[i].end, strlen(cases[i].end));
        for (size_t part = size; part > size / 4; part /= 2) { /* at once, and in parts */
            struct exchange exchange;
            struct request *request = begin(&exchange, "", 0);
            for (size_t at = 0; at < size; at += part)
                assert_null(
                    exchange_take(&exchange, line + at, size - at < part ? size - at : part));
            assert_true(exchange.replied);
            if (cases[i].too_long)
                assert_reply(request, "-ERR handler-failed the program's answer is longer than "
                                      "16 MiB");
            else
                assert_int_equal(buffer_size(&request->reply), cases[i].size);
            end(&exchange, request);
        }
        /* A line that is longer still is not kept. */
        struct exchange exchange;
        struct request *request = begin(&exchange, "", 0);
        memset(line, 'x', size);
        assert_null(exchange_take(&exchange, line, PROTOCOL_MAX_REPLY));
        assert_string_equal(exchange_take(&exchange, "xx", 2),
                            "the program's answer is longer than 16 MiB");
        end(&exchange, request);
        free(line);
    }
}

static void test_writes_a_line_as_there_is_room(void **state)
{
    (void) state;
    enum { SIZE = 300000 };
    static char message[SIZE], seen[SIZE + 1];
    int fds[2];
    struct exchange exchange;
    for (size_t i = 0; i < SIZE; i++)
        message[i] = (char) ('a' + i % 26);
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    struct request *request = begin(&exchange, message, SIZE);
    size_t size = 0;
    unsigned blocked = 0;
    while (exchange_write(&exchange, fds[1]) == EXCHANGE_BLOCKED) {
        assert_false(exchange_is_written(&exchange));
        ssize_t got = read(fds[0], seen + size, sizeof seen - size);
        assert_true(got > 0);
        size += (size_t) got;
        blocked++;
    }
    assert_true(blocked > 0);
    assert_true(exchange_is_written(&exchange));
    for (ssize_t got; (got = read(fds[0], seen + size, sizeof seen - size)) > 0;)
        size += (size_t) got;
    assert_int_equal(size, SIZE + 1);
    assert_memory_equal(seen, message, SIZE);
    assert_int_equal(seen[SIZE], '\n');
    close(fds[0]);
    end(&exchange, request);
    request = begin(&exchange, "more", 4);
    assert_int_equal(exchange_write(&exchange, fds[1]), EXCHANGE_CLOSED);
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
    assert_reply(request, "-ERR unavailable not now");
    end(&exchange, request);
    /* One that is over: the client has left. */
    request = begin(&exchange, "x", 1);
    assert_true(request_cancel(request));
    assert_null(exchange_take(&exchange, "late\n", 5));
    assert_true(exchange.replied);
    exchange_refuse(&exchange, PROTOCOL_UNAVAILABLE, "not now");
    assert_reply(request, "");
    end(&exchange, request);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_longest_answer),
        cmocka_unit_test(test_writes_a_line_as_there_is_room),
        cmocka_unit_test(test_refuses_once_and_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
