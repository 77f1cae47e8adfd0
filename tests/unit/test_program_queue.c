/*
 * test_program_queue: the order in which waiting requests are taken, the bound, the requests that
 * are skipped, and that a flow's end leaves nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/engine/loop.h"
#include "server/handlers/program/queue.h"
#include "server/net/peer.h"
#include "server/request_owner.h"

struct fixture {
    struct handler handler;
    struct queue queue;
    unsigned resumed;
};

static void count_resume(void *context) { ((struct fixture *) context)->resumed++; }

static void begin(struct fixture *fixture, size_t max_bytes, bool one_at_a_time)
{
    *fixture = (struct fixture){.handler = {.resume = count_resume, .resume_context = fixture}};
    struct queue_bounds bounds = {max_bytes, SIZE_MAX};
    queue_init(&fixture->queue, &fixture->handler, &bounds, one_at_a_time);
}

/* A request as handle() leaves it: held once, by the queue. The test has the engine's reference. */
static struct request *new_request(const char *message)
{
    struct request *request = request_new(NULL, NULL, NULL);
    assert_non_null(request);
    request_start(request, NULL, NULL, 1, message, strlen(message));
    assert_true(request_hold(request));
    request_release(request);
    return request;
}

static struct request *put(struct fixture *fixture, struct flow *flow, const char *message)
{
    struct request *request = new_request(message);
    assert_int_not_equal(queue_put(&fixture->queue, flow, request), QUEUE_NO_MEMORY);
    return request;
}

/* Does what the handler does with a request that it took, and the engine after that. */
static void finish(struct request *request)
{
    request_release(request);
    request_unref(request);
}

static void assert_taken(struct fixture *fixture, const char *message)
{
    struct request *request = queue_take(&fixture->queue, NULL);
    assert_non_null(request);
    assert_int_equal(request_size(request), strlen(message));
    assert_memory_equal(request_message(request), message, strlen(message));
    finish(request);
}

static void assert_empty(struct fixture *fixture)
{
    assert_null(queue_take(&fixture->queue, NULL));
    assert_int_equal(fixture->queue.bytes, 0);
    assert_int_equal(fixture->queue.waiting, 0);
}

/* Ends a flow; if one_at_a_time, the taker frees it. */
static void end_flow(struct fixture *fixture, struct flow *flow)
{
    assert_int_equal(queue_flow_end(&fixture->queue, flow), fixture->queue.one_at_a_time);
    if (fixture->queue.one_at_a_time)
        flow_free(queue_ended(&fixture->queue));
}

static void test_flows_are_served_in_turn(void **state)
{
    (void) state;
    /* Flow and message are one word: "a1" goes into flow a. */
    static const struct {
        const char *put, *taken;
    } cases[] = {
        {"", ""},
        {"a1 a2 a3", "a1 a2 a3"},
        {"a1 b1 a2 b2", "a1 b1 a2 b2"},
        {"a1 a2 a3 a4 b1", "a1 b1 a2 a3 a4"},
        {"a1 a2 a3 b1 b2 c1", "a1 b1 c1 a2 b2 a3"},
        {"c1 b1 a1 a2 b2 c2", "c1 b1 a1 c2 b2 a2"},
        {"a1 a2 a3 a4 a5 a6 a7 a8 a9 b1 b2", "a1 b1 a2 b2 a3 a4 a5 a6 a7 a8 a9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture fixture;
        begin(&fixture, 1 << 20, false);
        struct flow *flows[3] = {flow_new(1), flow_new(2), flow_new(3)};
        char text[64];
        snprintf(text, sizeof text, "%s", cases[i].put);
        for (char *rest, *word = strtok_r(text, " ", &rest); word;
             word = strtok_r(NULL, " ", &rest))
            put(&fixture, flows[word[0] - 'a'], word);
        snprintf(text, sizeof text, "%s", cases[i].taken);
        for (char *rest, *word = strtok_r(text, " ", &rest); word;
             word = strtok_r(NULL, " ", &rest))
            assert_taken(&fixture, word);
        assert_empty(&fixture);
        for (size_t flow = 0; flow < 3; flow++)
            end_flow(&fixture, flows[flow]);
        queue_fini(&fixture.queue);
    }
}

/* A late one waits for one request of each other flow, however long those are. */
static void test_one_that_comes_late(void **state)
{
    (void) state;
    struct fixture fixture;
    begin(&fixture, 1 << 20, false);
    struct flow *greedy = flow_new(1), *modest = flow_new(2);
    for (int i = 0; i < 100; i++)
        put(&fixture, greedy, "much");
    assert_taken(&fixture, "much");
    put(&fixture, modest, "little");
    assert_taken(&fixture, "much");
    assert_taken(&fixture, "little");
    for (int i = 2; i < 100; i++)
        assert_taken(&fixture, "much");
    assert_empty(&fixture);
    end_flow(&fixture, greedy);
    end_flow(&fixture, modest);
    queue_fini(&fixture.queue);
}

static void test_full_above_the_bound_until_half_of_it(void **state)
{
    (void) state;
    enum { COST = QUEUE_REQUEST_COST + 4 };
    struct fixture fixture;
    begin(&fixture, 4 * COST, false);
    struct flow *flow = flow_new(1);
    for (int i = 1; i <= 6; i++) {
        put(&fixture, flow, "1234");
        assert_int_equal(handler_is_full(&fixture.handler), i > 4);
    }
    for (int left = 5; left >= 0; left--) {
        assert_taken(&fixture, "1234");
        assert_int_equal(handler_is_full(&fixture.handler), left > 2);
        assert_int_equal(fixture.resumed, left <= 2);
    }
    end_flow(&fixture, flow);
    queue_fini(&fixture.queue);
}

/* What the loop of the requests was told; it lets the request go. */
static bool is_resumed(struct loop *loop)
{
    struct inbox_node *node = loop_take_inbox(loop);
    if (!node)
        return false;
    assert_int_equal(node->kind, INBOX_ROOM);
    assert_null(node->next);
    request_deliver_room(node);
    return true;
}

static void put_in_loop(struct fixture *fixture, struct flow *flow, struct loop *loop)
{
    put(fixture, flow, "1234")->loop = loop;
}

/* One session can't fill the queue: it is stopped at its share, until half of it is left. */
static void test_a_session_has_its_share(void **state)
{
    (void) state;
    enum { COST = QUEUE_REQUEST_COST + 4 };
    struct fixture fixture;
    struct loop loop = {0};
    assert_true(loop_init(&loop));
    begin(&fixture, 1 << 20, false);
    fixture.queue.bounds.each = 4 * COST;
    struct flow *greedy = flow_new(1), *modest = flow_new(2);
    assert_int_equal(greedy->base.backlog, HANDLER_BACKLOG_NONE);
    for (int i = 1; i <= 6; i++) {
        put_in_loop(&fixture, greedy, &loop);
        assert_int_equal(greedy->base.backlog, i > 4 ? HANDLER_BACKLOG_FULL : HANDLER_BACKLOG_SOME);
    }
    assert_int_equal(modest->base.backlog, HANDLER_BACKLOG_NONE);
    assert_false(handler_is_full(&fixture.handler));
    for (int left = 5; left >= 0; left--) {
        assert_taken(&fixture, "1234");
        assert_int_equal(greedy->base.backlog, left > 2   ? HANDLER_BACKLOG_FULL
                                               : left > 0 ? HANDLER_BACKLOG_SOME
                                                          : HANDLER_BACKLOG_NONE);
        assert_int_equal(is_resumed(&loop), left == 2);
    }
    end_flow(&fixture, greedy);
    end_flow(&fixture, modest);
    queue_fini(&fixture.queue);
    loop_fini(&loop);
}

/* A request that is larger than the share waits alone. */
static void test_one_request_is_always_taken(void **state)
{
    (void) state;
    struct fixture fixture;
    struct loop loop = {0};
    assert_true(loop_init(&loop));
    begin(&fixture, 1 << 20, false);
    fixture.queue.bounds.each = 100;
    struct flow *flow = flow_new(1);
    for (int i = 0; i < 3; i++) {
        put_in_loop(&fixture, flow, &loop);
        assert_int_equal(flow->base.backlog, HANDLER_BACKLOG_FULL);
        assert_taken(&fixture, "1234");
        assert_int_equal(flow->base.backlog, HANDLER_BACKLOG_NONE);
        assert_true(is_resumed(&loop));
    }
    end_flow(&fixture, flow);
    queue_fini(&fixture.queue);
    loop_fini(&loop);
}

/* While the queue is full a session that has nothing in it any more is read. */
static void test_a_session_with_nothing_waiting_goes_on(void **state)
{
    (void) state;
    enum { COST = QUEUE_REQUEST_COST + 4 };
    struct fixture fixture;
    struct loop loop = {0};
    assert_true(loop_init(&loop));
    begin(&fixture, 4 * COST, false);
    struct flow *greedy = flow_new(1), *modest = flow_new(2);
    for (int i = 0; i < 5; i++)
        put_in_loop(&fixture, greedy, &loop);
    put_in_loop(&fixture, modest, &loop);
    assert_true(handler_is_full(&fixture.handler));
    assert_int_equal(modest->base.backlog, HANDLER_BACKLOG_SOME);
    assert_taken(&fixture, "1234");
    assert_false(is_resumed(&loop));
    assert_taken(&fixture, "1234");
    assert_true(handler_is_full(&fixture.handler));
    assert_int_equal(modest->base.backlog, HANDLER_BACKLOG_NONE);
    assert_true(is_resumed(&loop));
    for (int i = 0; i < 4; i++)
        assert_taken(&fixture, "1234");
    assert_false(is_resumed(&loop));
    end_flow(&fixture, greedy);
    end_flow(&fixture, modest);
    queue_fini(&fixture.queue);
    loop_fini(&loop);
}

/* A session that ends with much waiting makes room. */
static void test_a_flow_s_end_makes_room(void **state)
{
    (void) state;
    struct fixture fixture;
    struct request *requests[3];
    begin(&fixture, 10, false);
    struct flow *flow = flow_new(1), *other = flow_new(2);
    for (int i = 0; i < 3; i++)
        requests[i] = put(&fixture, flow, "gone");
    assert_true(handler_is_full(&fixture.handler));
    for (int i = 0; i < 3; i++)
        assert_true(request_cancel(requests[i]));
    end_flow(&fixture, flow);
    assert_false(handler_is_full(&fixture.handler));
    assert_int_equal(fixture.resumed, 1);
    assert_empty(&fixture);
    for (int i = 0; i < 3; i++)
        request_unref(requests[i]);
    end_flow(&fixture, other);
    queue_fini(&fixture.queue);
}

static void test_what_is_over_is_skipped(void **state)
{
    (void) state;
    struct fixture fixture;
    begin(&fixture, 1 << 20, false);
    struct flow *flow = flow_new(1);
    put(&fixture, flow, "1");
    struct request *second = put(&fixture, flow, "2"), *third = put(&fixture, flow, "3");
    put(&fixture, flow, "4");
    assert_true(request_cancel(second));
    assert_true(request_claim(third));
    assert_taken(&fixture, "1");
    assert_taken(&fixture, "4");
    assert_empty(&fixture);
    request_unref(second);
    request_unref(third);
    /* A request that is over before it is put: its flow may be gone, and is not touched. */
    struct request *late = new_request("5");
    assert_true(request_cancel(late));
    assert_int_equal(queue_put(&fixture.queue, NULL, late), QUEUE_OVER);
    finish(late);
    end_flow(&fixture, flow);
    queue_fini(&fixture.queue);
}

static void test_one_at_a_time(void **state)
{
    (void) state;
    struct fixture fixture;
    begin(&fixture, 1 << 20, true);
    struct flow *a = flow_new(1), *b = flow_new(2), *from;
    put(&fixture, a, "a1");
    put(&fixture, a, "a2");
    put(&fixture, b, "b1");
    struct request *first = queue_take(&fixture.queue, &from);
    assert_ptr_equal(from, a);
    assert_taken(&fixture, "b1");
    assert_null(queue_take(&fixture.queue, NULL));
    queue_flow_done(&fixture.queue, b);
    assert_null(queue_take(&fixture.queue, NULL));
    finish(first);
    queue_flow_done(&fixture.queue, a);
    assert_taken(&fixture, "a2");
    end_flow(&fixture, a);
    end_flow(&fixture, b);
    assert_null(queue_ended(&fixture.queue));
    queue_fini(&fixture.queue);
}

static void test_flows_that_are_kept(void **state)
{
    (void) state;
    struct fixture fixture;
    begin(&fixture, 1 << 20, false);
    queue_keep_flows(&fixture.queue);
    struct flow *flow = flow_new(1), *from;
    flow_set_peer(flow, &(struct peer_text){"here", ""});
    put(&fixture, flow, "a");
    put(&fixture, flow, "b");
    struct request *first = queue_take(&fixture.queue, &from);
    assert_ptr_equal(from, flow);
    assert_taken(&fixture, "b"); /* though the first is not done */
    finish(first);
    assert_true(queue_flow_end(&fixture.queue, flow));
    assert_ptr_equal(queue_ended(&fixture.queue), flow);
    assert_string_equal(flow->peer->address, "here");
    flow_free(flow);
    queue_fini(&fixture.queue);
}

/* The taker is woken once if there is something to take, and only while it sleeps. */
static void test_wakes(void **state)
{
    (void) state;
    struct fixture fixture;
    begin(&fixture, 1 << 20, true);
    struct flow *flow = flow_new(1);
    struct request *requests[4];
    static const enum queue_put expected[] = {QUEUE_PUT, QUEUE_PUT_WAKE, QUEUE_PUT, QUEUE_PUT};
    for (int i = 0; i < 4; i++) {
        if (i == 1)
            assert_true(queue_sleep(&fixture.queue));
        requests[i] = new_request("x");
        assert_int_equal(queue_put(&fixture.queue, flow, requests[i]), expected[i]);
        if (i == 0)
            assert_taken(&fixture, "x");
        if (i == 0)
            queue_flow_done(&fixture.queue, flow);
    }
    assert_false(queue_sleep(&fixture.queue));
    finish(queue_take(&fixture.queue, NULL));
    /* Two wait, but the last request of their flow is not done. */
    assert_true(queue_sleep(&fixture.queue));
    put(&fixture, flow, "y");
    assert_true(fixture.queue.sleeping);
    queue_flow_done(&fixture.queue, flow);
    assert_false(queue_sleep(&fixture.queue));
    for (int i = 0; i < 3; i++) {
        finish(queue_take(&fixture.queue, NULL));
        queue_flow_done(&fixture.queue, flow);
    }
    assert_empty(&fixture);
    end_flow(&fixture, flow);
    queue_fini(&fixture.queue);
}

static void test_takes_some_of_one_flow(void **state)
{
    (void) state;
    /* Each word is what one call takes: up to two, or up to three. A request in capitals is
     * over. */
    static const struct {
        const char *put;
        unsigned max;
        const char *taken;
    } cases[] = {
        {"a1 a2 a3 b1", 2, "a1,a2 b1 a3"}, {"a1 b1 b2 b3 b4 a2", 3, "a1,a2 b1,b2,b3 b4"},
        {"a1 A2 a3 b1", 2, "a1,a3 b1"},    {"A1 A2 b1 b2", 2, "b1,b2"},
        {"A1 a2 b1", 1, "b1 a2"},          {"a1 A2 A3", 3, "a1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture fixture;
        begin(&fixture, 1 << 20, false);
        struct flow *flows[2] = {flow_new(1), flow_new(2)};
        char text[64], taken[64] = "";
        snprintf(text, sizeof text, "%s", cases[i].put);
        for (char *rest, *word = strtok_r(text, " ", &rest); word;
             word = strtok_r(NULL, " ", &rest)) {
            struct request *request = put(&fixture, flows[(word[0] | 32) - 'a'], word);
            if (word[0] < 'a') {
                assert_true(request_claim(request));
                request_unref(request);
            }
        }
        struct request *requests[3];
        unsigned count;
        while ((count = queue_take_some(&fixture.queue, requests, cases[i].max, NULL)) > 0) {
            strcat(taken, *taken ? " " : "");
            for (unsigned j = 0; j < count; j++) {
                strcat(taken, j ? "," : "");
                strncat(taken, request_message(requests[j]), request_size(requests[j]));
                finish(requests[j]);
            }
        }
        assert_string_equal(taken, cases[i].taken);
        assert_empty(&fixture);
        for (size_t flow = 0; flow < 2; flow++)
            end_flow(&fixture, flows[flow]);
        queue_fini(&fixture.queue);
    }
}

static void test_a_clock_is_stopped(void **state)
{
    (void) state;
    struct fixture fixture;
    begin(&fixture, 1 << 20, false);
    struct flow *flow = flow_new(1);
    struct request *request = new_request("x");
    request->session_data = flow;
    assert_ptr_equal(queue_stop_clock(&fixture.queue, request, 1000), flow);
    assert_ptr_equal(queue_stop_clock(&fixture.queue, request, 1100), flow);
    assert_int_equal(pause_ms(&flow->stops, 1200), 200);
    queue_start_clock(&fixture.queue, flow, 1300);
    assert_int_equal(pause_ms(&flow->stops, 1400), 400);
    queue_start_clock(&fixture.queue, flow, 1500);
    assert_int_equal(pause_ms(&flow->stops, 2000), 500);
    /* A flow that ends meanwhile stays until its clock runs again; then it can't be stopped. */
    assert_ptr_equal(queue_stop_clock(&fixture.queue, request, 3000), flow);
    assert_true(request_claim(request));
    end_flow(&fixture, flow);
    assert_null(queue_stop_clock(&fixture.queue, request, 3100));
    queue_start_clock(&fixture.queue, flow, 3200);
    finish(request);
    queue_fini(&fixture.queue);
}

/* What a session's replies hold, in the order of the steps: a reply of so many MiB is about to be
 * given to the request that was taken first (+), or has left (-); then something can be taken or
 * not. */
static void test_large_replies_that_have_not_left(void **state)
{
    (void) state;
    static const struct {
        int mib;
        bool is_ready;
    } steps[] = {{5, true},   {7, true},   {1, false}, {-1, true},
                 {16, false}, {-5, false}, {-16, true}};
    struct fixture fixture;
    struct request *taken[sizeof steps / sizeof steps[0]];
    begin(&fixture, 1000000, false);
    struct flow *flow = flow_new(1), *other = flow_new(2);
    put(&fixture, flow, "next");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        size_t of = 0;
        taken[i] = new_request("taken");
        taken[i]->session_data = flow;
        while (steps[of].mib != -steps[i].mib && of < i)
            of++;
        if (steps[i].mib > 0)
            queue_reply_held(&fixture.queue, taken[i], (size_t) steps[i].mib << 20);
        else
            queue_reply_gone(&fixture.queue, taken[of]);
        assert_int_equal(flow->is_ready, steps[i].is_ready);
        put(&fixture, other, "other");
        if (steps[i].is_ready)
            assert_taken(&fixture, "next");
        assert_taken(&fixture, "other");
        if (steps[i].is_ready)
            put(&fixture, flow, "next");
    }
    assert_taken(&fixture, "next");
    assert_empty(&fixture);
    end_flow(&fixture, flow);
    end_flow(&fixture, other);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        finish(taken[i]);
    queue_fini(&fixture.queue);
}

/* A verdict comes before or after the reply that is too late; neither is counted for good. */
static void test_a_verdict_in_the_place_of_a_large_reply(void **state)
{
    (void) state;
    for (int verdict_first = 0; verdict_first < 2; verdict_first++) {
        struct fixture fixture;
        begin(&fixture, 1000000, false);
        struct flow *flow = flow_new(1);
        struct request *request = new_request("late");
        request->session_data = flow;
        if (verdict_first)
            request_claim(request);
        queue_reply_held(&fixture.queue, request, 16 << 20);
        assert_int_equal(flow->replies, verdict_first ? 0 : 16 << 20);
        queue_reply_gone(&fixture.queue, request);
        assert_int_equal(flow->replies, 0);
        end_flow(&fixture, flow);
        finish(request);
        queue_fini(&fixture.queue);
    }
}

static void test_a_large_reply_that_leaves_wakes(void **state)
{
    (void) state;
    struct fixture fixture;
    begin(&fixture, 1000000, false);
    struct flow *flow = flow_new(1);
    struct request *request = new_request("first");
    request->session_data = flow;
    queue_reply_held(&fixture.queue, request, 16 << 20);
    struct request *next = new_request("next");
    assert_true(queue_sleep(&fixture.queue));
    assert_int_equal(queue_put(&fixture.queue, flow, next), QUEUE_PUT);
    assert_true(queue_reply_gone(&fixture.queue, request));
    assert_false(queue_reply_gone(&fixture.queue, request));
    assert_taken(&fixture, "next");
    end_flow(&fixture, flow);
    finish(request);
    queue_fini(&fixture.queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flows_are_served_in_turn),
        cmocka_unit_test(test_one_that_comes_late),
        cmocka_unit_test(test_full_above_the_bound_until_half_of_it),
        cmocka_unit_test(test_a_session_has_its_share),
        cmocka_unit_test(test_one_request_is_always_taken),
        cmocka_unit_test(test_a_session_with_nothing_waiting_goes_on),
        cmocka_unit_test(test_a_flow_s_end_makes_room),
        cmocka_unit_test(test_what_is_over_is_skipped),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_flows_that_are_kept),
        cmocka_unit_test(test_wakes),
        cmocka_unit_test(test_takes_some_of_one_flow),
        cmocka_unit_test(test_a_clock_is_stopped),
        cmocka_unit_test(test_large_replies_that_have_not_left),
        cmocka_unit_test(test_a_verdict_in_the_place_of_a_large_reply),
        cmocka_unit_test(test_a_large_reply_that_leaves_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
