/*
 * test_errands: requests without a session, behind a toy handler: answered in the call, late, too
 * late or never; given up; and refused by a stop.
 *
 * The handler echoes, except: "hold..." is held: held[0], then [1]...; "wait..." is the same, and
 * not begun; "forget" gets no answer.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/errands.h"
#include "server/handler.h"
#include "server/net/admission.h"
#include "tests/unit/log_capture.h"

enum { HELD = 8, TIMEOUT_MS = 30000 };

struct order {
    struct errand errand; /* first */
    unsigned answers;
    char reply[200];
};

static struct errands errands;
static struct handler handler;
static struct admission admission;
static struct log_capture capture;
static struct request *held[HELD];
static unsigned held_count;

/* ---- the handler ---- */

static bool begins(const struct request *request, const char *word)
{
    return request_size(request) >= strlen(word) &&
           memcmp(request_message(request), word, strlen(word)) == 0;
}

static void handle(struct handler *owner, struct request *request)
{
    (void) owner;
    if (begins(request, "forget"))
        return;
    if (!begins(request, "hold") && !begins(request, "wait")) {
        request_reply(request, request_message(request), request_size(request));
        return;
    }
    if (begins(request, "wait"))
        request_defer(request);
    assert_true(request_hold(request));
    held[held_count++] = request;
}

static const struct handler_kind kind = {.name = "toy", .handle = handle, .is_brief = true};

static void answer(unsigned i, const char *text)
{
    request_reply(held[i], text, strlen(text));
    request_release(held[i]);
}

/* ---- the owner ---- */

static void take_reply(struct order *order, const struct errands_reply *reply)
{
    order->answers++;
    snprintf(order->reply, sizeof order->reply, "%.*s", (int) reply->size, reply->text);
    assert_int_equal(reply->is_error, strncmp(order->reply, "-ERR ", 5) == 0);
}

static void answered(void *context, struct errand *errand, const struct errands_reply *reply)
{
    assert_ptr_equal(context, &errands);
    take_reply((struct order *) errand, reply);
}

static void ask(struct order *order, const char *message)
{
    struct errands_reply reply;
    *order = (struct order){0};
    errands_begin_batch(&errands);
    if (errands_ask(&errands, &order->errand, message, strlen(message), &reply))
        take_reply(order, &reply);
    errands_end_batch(&errands);
}

static void run(void)
{
    errands_begin_batch(&errands);
    errands_run(&errands);
    errands_end_batch(&errands);
}

static void assert_reply(const struct order *order, const char *reply)
{
    assert_int_equal(order->answers, 1);
    assert_string_equal(order->reply, reply);
}

static int set_up(void **state)
{
    (void) state;
    log_capture_init(&capture);
    errands = (struct errands){0};
    handler = (struct handler){.kind = &kind};
    admission = (struct admission){0};
    held_count = 0;
    struct errands_config config = {
        .handler = &handler,
        .admission = &admission,
        .log = capture.log,
        .origin = "nats:upper",
        .timeout_ms = TIMEOUT_MS,
        .answered = answered,
        .context = &errands,
    };
    return errands_init(&errands, &config) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void) state;
    unsigned left = errands.count;
    errands_end_session(&errands);
    errands_fini(&errands);
    log_capture_read(&capture);
    return left == 0 ? 0 : -1;
}

/* ---- answers ---- */

static void one_that_is_answered_in_its_call_does_not_wait(void **state)
{
    (void) state;
    struct order order;
    for (int i = 0; i < 3; i++) {
        ask(&order, "question");
        assert_reply(&order, "question");
    }
    assert_int_equal(errands.count, 0);
    assert_int_equal(errands_due_ms(&errands), CLOCK_NEVER);
    assert_int_equal(counter_get(&errands.loop.served), 3);
    ask(&order, "forget");
    assert_reply(&order, "-ERR handler-failed the handler has not answered");
    assert_int_equal(counter_get(&errands.counters.errors[PROTOCOL_CODE_HANDLER_FAILED]), 1);
}

static void late_answers_come_in_any_order(void **state)
{
    (void) state;
    struct order first, second;
    ask(&first, "hold 1");
    ask(&second, "hold 2");
    assert_int_equal(errands.count, 2);
    answer(1, "two");
    run();
    assert_reply(&second, "two");
    assert_int_equal(first.answers, 0);
    answer(0, "one");
    run();
    assert_reply(&first, "one");
    assert_int_equal(errands.count, 0);
}

static void what_a_handler_may_not_say_is_an_error(void **state)
{
    (void) state;
    struct order order;
    ask(&order, "hold");
    answer(0, "-ERR busy go away");
    run();
    assert_reply(&order, "-ERR handler-failed the handler's reply can't be sent: its code is the "
                         "server's alone");
}

static void each_has_a_number_and_an_origin(void **state)
{
    (void) state;
    struct order order;
    struct peer_text peer;
    assert_int_equal(admission_number(&admission), 1); /* a client's */
    ask(&order, "hold");
    request_describe_peer(held[0], &peer);
    assert_string_equal(peer.address, "nats:upper");
    assert_string_equal(peer.identity, "");
    assert_int_equal(request_session(held[0]), 2);
    assert_int_equal(atomic_load(&admission.accepted), 1);
    answer(0, "");
    run();
}

static void one_that_is_too_long_is_an_error(void **state)
{
    (void) state;
    struct order order;
    static char text[PROTOCOL_MAX_REPLY + 1];
    ask(&order, "hold");
    request_reply(held[0], text, sizeof text);
    request_release(held[0]);
    run();
    assert_reply(&order, "-ERR handler-failed the handler's reply can't be sent: it is too long");
}

static void one_that_is_refused_is_counted_as_others_are(void **state)
{
    (void) state;
    static const struct {
        const char *code, *text, *reply;
        enum protocol_code counted;
    } table[] = {
        {PROTOCOL_BUSY, "all places are taken", "-ERR busy all places are taken",
         PROTOCOL_CODE_BUSY},
        {PROTOCOL_TOO_LONG, "4 bytes", "-ERR too-long 4 bytes", PROTOCOL_CODE_TOO_LONG},
        {PROTOCOL_BAD_REQUEST, "no line", "-ERR bad-request no line", PROTOCOL_CODE_BAD_REQUEST},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct errands_reply reply;
        struct order order = {0};
        errands_begin_batch(&errands);
        errands_refuse(&errands, "hold", 4, table[i].code, table[i].text, &reply);
        take_reply(&order, &reply);
        errands_end_batch(&errands);
        assert_reply(&order, table[i].reply);
        assert_int_equal(counter_get(&errands.counters.errors[table[i].counted]), 1);
        assert_int_equal(counter_get(&errands.loop.served), i + 1);
    }
    assert_int_equal(held_count, 0); /* the handler knows of none */
    assert_int_equal(admission_number(&admission), sizeof table / sizeof *table + 1);
}

/* ---- how many there are ---- */

static void none_is_asked_if_the_handler_is_full_of_them(void **state)
{
    (void) state;
    struct order order;
    handler_set_full(&handler, true);
    assert_false(errands_are_full(&errands)); /* of others: one may be asked */
    ask(&order, "hold");
    assert_true(errands_are_full(&errands));
    assert_int_equal(errands.bytes, 4);
    handler_set_full(&handler, false);
    assert_false(errands_are_full(&errands));
    answer(0, "");
    run();
    assert_int_equal(errands.bytes, 0);
}

/* ---- no answers ---- */

static void those_that_are_forgotten_get_none(void **state)
{
    (void) state;
    struct order orders[3];
    ask(&orders[0], "hold");
    ask(&orders[1], "wait");
    ask(&orders[2], "hold");
    answer(2, "on its way");
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(errands_forget(&errands), &orders[i].errand);
    assert_null(errands_forget(&errands));
    assert_true(request_is_over(held[0]));
    assert_false(request_begin(held[1]));
    answer(0, "late");
    request_release(held[1]);
    run();
    for (int i = 0; i < 3; i++)
        assert_int_equal(orders[i].answers, 0);
}

static void one_whose_time_is_over_is_answered_once(void **state)
{
    (void) state;
    struct order order;
    ask(&order, "hold");
    assert_int_equal(errands_due_ms(&errands), errands.loop.now_ms + TIMEOUT_MS);
    errands_postpone(&errands, 1000);
    assert_int_equal(errands_due_ms(&errands), errands.loop.now_ms + TIMEOUT_MS + 1000);
    errands_postpone(&errands, -2 * TIMEOUT_MS);
    run();
    assert_reply(&order, "-ERR handler-timeout the handler has not answered in time");
    answer(0, "late");
    run();
    assert_int_equal(order.answers, 1);
}

static void one_that_is_given_up_is_not_begun(void **state)
{
    (void) state;
    struct order waits, begun;
    ask(&waits, "wait");
    ask(&begun, "hold");
    assert_true(errands_cancel(&errands, &waits.errand));
    assert_false(request_begin(held[0]));
    assert_false(errands_cancel(&errands, &begun.errand));
    request_release(held[0]);
    answer(1, "done");
    run();
    assert_int_equal(waits.answers, 0);
    assert_reply(&begun, "done");
}

static void a_stop_says_which_were_begun(void **state)
{
    (void) state;
    struct order waits, begun, ready;
    ask(&waits, "wait");
    ask(&begun, "hold");
    ask(&ready, "hold");
    answer(2, "ready");
    assert_true(errands_recall(&errands));
    errands_begin_batch(&errands);
    errands_refuse_all(&errands);
    errands_end_batch(&errands);
    assert_reply(&waits, "-ERR busy the server is stopping");
    assert_reply(&begun, "-ERR handler-timeout the server is stopping");
    assert_reply(&ready, "ready");
    answer(0, "late");
    answer(1, "late");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_that_is_answered_in_its_call_does_not_wait, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(late_answers_come_in_any_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_handler_may_not_say_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_has_a_number_and_an_origin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_too_long_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_refused_is_counted_as_others_are, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(none_is_asked_if_the_handler_is_full_of_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(those_that_are_forgotten_get_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_whose_time_is_over_is_answered_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_given_up_is_not_begun, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_says_which_were_begun, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
