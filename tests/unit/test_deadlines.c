/* test_deadlines: what is due of a session in each of its states, and what its turn does about it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/session/deadlines.h"
#include "server/session/input.h"
#include "server/session/output.h"
#include "tests/unit/shard_fixture.h"

enum { REQUEST_MS = 100, HANDLER_MS = 200, WRITE_MS = 300, IDLE_MS = 1000 };

static int set_up(void **state)
{
    if (fixture_set_up(state) != 0)
        return -1;
    struct server_config *config = fixture_config();
    config->request_timeout_ms = REQUEST_MS;
    config->handler_timeout_ms = HANDLER_MS;
    config->write_timeout_ms = WRITE_MS;
    config->idle_timeout_ms = IDLE_MS;
    return 0;
}

static int64_t armed_ms(const struct session *session)
{
    int64_t key = heap_key(&fixture.shard.loop.deadlines, &session->deadline);
    return key == HEAP_NONE ? HEAP_NONE : key - FIXTURE_NOW_MS;
}

/* Nothing is due before this time has passed, and then this is. */
static void assert_due(const struct session *session, int64_t after_ms, enum due due)
{
    fixture_pass_ms(after_ms - 1);
    assert_int_equal(deadlines_due(session), DUE_NOTHING);
    fixture_pass_ms(1);
    assert_int_equal(deadlines_due(session), due);
}

static void let_linger(struct session *session)
{
    session->closing = true;
    linger_add(&fixture.shard.linger, session);
    admission_lingers(&fixture.admission);
}

/* A request that was held, to be answered within so long. */
static struct request *queue_request(struct session *session, int64_t within_ms)
{
    struct request *request = request_new(&fixture.handler, &turn_asker, NULL);
    assert_non_null(session_activate(session));
    request_start(request, &fixture.shard.loop, session, 1, "", 0);
    request->deadline_ms = fixture.shard.loop.now_ms + within_ms;
    request_hold_again(request);
    output_queue_late(session, request);
    request_release(request);
    fixture.held[fixture.held_count++] = request;
    return request;
}

/* ---- what is due ---- */

static void a_silent_client_is_due_at_the_idle_timeout(void **state)
{
    (void) state;
    struct session *session = fixture_session_without_socket();
    deadlines_arm(session);
    assert_int_equal(armed_ms(session), IDLE_MS);
    assert_due(session, IDLE_MS, DUE_IDLE);
}

static void nothing_is_due_without_timeouts(void **state)
{
    (void) state;
    struct server_config *config = fixture_config();
    config->idle_timeout_ms = 0;
    config->request_timeout_ms = 0;
    struct session *session = fixture_session_without_socket();
    deadlines_arm(session);
    assert_int_equal(armed_ms(session), HEAP_NONE);
    assert_non_null(session_activate(session));
    buffer_append(&session->active->input, "half", 4);
    deadlines_update_partial(session);
    deadlines_arm(session);
    assert_int_equal(armed_ms(session), HEAP_NONE);
    fixture_pass_ms(INT32_MAX);
    assert_int_equal(deadlines_due(session), DUE_NOTHING);
}

static void a_client_that_does_not_close_is_due_after_a_linger(void **state)
{
    (void) state;
    struct session *session = fixture_session_without_socket();
    let_linger(session);
    deadlines_arm(session);
    assert_int_equal(armed_ms(session), SESSION_LINGER_MS);
    assert_due(session, SESSION_LINGER_MS, DUE_LINGER);
}

static void the_first_request_that_is_not_ready_is_due(void **state)
{
    (void) state;
    struct session *session = fixture_session_without_socket();
    assert_true(output_overrule(queue_request(session, 10), "code", "text"));
    queue_request(session, 50);
    queue_request(session, 70);
    deadlines_arm(session);
    assert_int_equal(armed_ms(session), 50);
    assert_due(session, 50, DUE_ACTIVE);
}

static void a_client_that_reads_nothing_is_due_at_the_write_timeout(void **state)
{
    (void) state;
    struct session *session = fixture_session_without_socket();
    assert_non_null(session_activate(session));
    buffer_append(&session->active->output, "unsent", 6);
    session->active->write_deadline_ms = FIXTURE_NOW_MS + WRITE_MS;
    queue_request(session, WRITE_MS - 100);
    deadlines_arm(session);
    assert_int_equal(armed_ms(session), WRITE_MS - 100);
    assert_due(session, WRITE_MS - 100, DUE_ACTIVE);
    assert_false(deadlines_write_is_over(session));
    fixture_pass_ms(100);
    assert_true(deadlines_write_is_over(session));
    assert_int_equal(deadlines_due(session), DUE_WRITE);
    buffer_clear(&session->active->output); /* what is sent needs no time */
    assert_false(deadlines_write_is_over(session));
    assert_int_equal(deadlines_due(session), DUE_ACTIVE);
}

static void a_deadline_that_moves_away_stays_in_the_heap_until_it_comes_out(void **state)
{
    (void) state;
    struct heap *heap = &fixture.shard.loop.deadlines;
    struct session *session = fixture_session_without_socket();
    deadlines_arm(session);
    fixture_pass_ms(400);
    session->since_ms = (uint64_t) fixture.shard.loop.now_ms;
    deadlines_arm(session);
    assert_int_equal(armed_ms(session), IDLE_MS);
    fixture_pass_ms(IDLE_MS - 400);
    assert_ptr_equal(heap_take(heap, fixture.shard.loop.now_ms), &session->deadline);
    turn_deadline(session, &fixture.scratch); /* nothing is due */
    assert_false(session->closed);
    assert_int_equal(armed_ms(session), IDLE_MS + 400);
}

static void a_deadline_that_comes_nearer_moves_in_the_heap(void **state)
{
    (void) state;
    struct session *session = fixture_session_without_socket();
    deadlines_arm(session);
    queue_request(session, 50);
    deadlines_arm(session);
    assert_int_equal(armed_ms(session), 50);
}

/* ---- the process stands still ---- */

static void nothing_is_due_before_the_sockets_have_been_looked_at(void **state)
{
    (void) state;
    struct session *session = fixture_session_without_socket();
    struct loop *loop = &fixture.shard.loop;
    loop->now_ms += 10 * IDLE_MS; /* it has stood still since the last look */
    assert_int_equal(deadlines_due(session), DUE_NOTHING);
    loop->looked_ms = loop->now_ms;
    assert_int_equal(deadlines_due(session), DUE_IDLE);
}

static void a_pause_moves_every_deadline(void **state)
{
    (void) state;
    enum { PAUSE_MS = 100000 };
    struct session *idle = fixture_session_without_socket();
    struct session *closing = fixture_session_without_socket();
    struct session *active = fixture_session_without_socket();
    let_linger(closing);
    struct request *request = queue_request(active, 50);
    struct request *endless = queue_request(active, CLOCK_NEVER - FIXTURE_NOW_MS);
    buffer_append(&active->active->output, "unsent", 6);
    active->active->write_deadline_ms = FIXTURE_NOW_MS + WRITE_MS;
    deadlines_postpone(idle, PAUSE_MS);
    deadlines_postpone(closing, PAUSE_MS);
    deadlines_postpone(active, PAUSE_MS);
    assert_int_equal(request_deadline_ms(request), FIXTURE_NOW_MS + PAUSE_MS + 50);
    assert_int_equal(request_deadline_ms(endless), CLOCK_NEVER);
    assert_int_equal(active->active->write_deadline_ms, FIXTURE_NOW_MS + PAUSE_MS + WRITE_MS);
    assert_int_equal(active->active->partial_deadline_ms, CLOCK_NEVER);
    assert_due(active, PAUSE_MS + 50, DUE_ACTIVE);
    fixture_pass_ms(-50);
    assert_due(idle, IDLE_MS, DUE_IDLE);
    assert_int_equal(deadlines_due(closing), DUE_LINGER);
}

static void a_pause_leaves_what_is_the_handler_s_alone(void **state)
{
    (void) state;
    static char data[1024];
    static const char untouched[sizeof data];
    struct session *session = fixture_session_without_socket();
    session->handler_data = data;
    deadlines_postpone(session, -1);
    assert_memory_equal(data, untouched, sizeof data);
    session->handler_data = NULL;
}

/* ---- a half received request ---- */

static struct session *half_received(void)
{
    struct session *session = fixture_session_without_socket();
    assert_non_null(session_activate(session));
    buffer_append(&session->active->input, "half", 4);
    deadlines_update_partial(session);
    return session;
}

static void the_time_of_a_half_received_request_does_not_begin_again(void **state)
{
    (void) state;
    struct session *session = half_received();
    deadlines_arm(session);
    assert_int_equal(armed_ms(session), REQUEST_MS);
    fixture_pass_ms(60);
    buffer_append(&session->active->input, "more", 4);
    deadlines_update_partial(session);
    assert_due(session, REQUEST_MS - 60, DUE_ACTIVE);
}

static void the_time_of_a_half_received_request_stands_still_while_nothing_is_read(void **state)
{
    (void) state;
    struct session *session = half_received();
    fixture_pass_ms(60);
    struct request *request = queue_request(session, CLOCK_NEVER - FIXTURE_NOW_MS - 60);
    session->active->stalled = request;
    deadlines_update_partial(session);
    assert_int_equal(session->active->partial_deadline_ms, CLOCK_NEVER);
    fixture_pass_ms(100 * REQUEST_MS);
    deadlines_update_partial(session);
    assert_int_equal(deadlines_due(session), DUE_NOTHING);

    session->active->stalled = NULL;
    deadlines_update_partial(session);
    assert_due(session, REQUEST_MS - 60, DUE_ACTIVE);
    /* If its time is over when reading stops, it is not given more than a moment. */
    session->active->stalled = request;
    deadlines_update_partial(session);
    session->active->stalled = NULL;
    deadlines_update_partial(session);
    assert_due(session, 1, DUE_ACTIVE);
}

static void a_complete_request_ends_the_time_of_its_half(void **state)
{
    (void) state;
    struct session *session = half_received();
    fixture_pass_ms(60);
    buffer_clear(&session->active->input);
    deadlines_update_partial(session);
    assert_int_equal(session->active->partial_deadline_ms, CLOCK_NEVER);
    buffer_append(&session->active->input, "next", 4);
    deadlines_update_partial(session);
    assert_due(session, REQUEST_MS, DUE_ACTIVE);
}

/* ---- what is done about it, through a socket ---- */

static void half_a_request_is_answered_and_the_session_ends(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    fixture_ask(client, "whole\nhalf", "whole\n");
    fixture_pass_ms(REQUEST_MS - 1);
    fixture_ask(client, "more", "");
    fixture_pass_ms(1);
    assert_true(fixture_run());
    fixture_expect_end(client, "-ERR incomplete it did not come in time\n");
    close(client);
    assert_int_equal(fixture_logged("The input is incomplete: it did not come in time"), 1);
}

static void a_silent_client_is_closed_without_a_word_and_lingers(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    fixture_pass_ms(IDLE_MS - 1);
    fixture_ask(client, "a\n", "a\n");
    fixture_pass_ms(IDLE_MS - 1);
    assert_true(fixture_run());
    fixture_expect(client, "");
    fixture_pass_ms(1);
    assert_true(fixture_run());
    fixture_expect_end(client, "");
    assert_true(session->closing);
    assert_int_equal(fixture.admission.clients, 0);
    fixture_say(client, "thrown away\n");
    fixture_pass_ms(SESSION_LINGER_MS - 1);
    assert_true(fixture_run());
    assert_false(session->closed);
    fixture_pass_ms(1);
    assert_true(fixture_run());
    assert_true(session->closed);
    assert_int_equal(fixture.calls, 1);
    close(client);
}

static void a_client_that_is_owed_a_reply_is_not_idle(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    fixture_config()->handler_timeout_ms = 0;
    fixture_ask(client, "hold 1\n", "");
    atomic_store(&fixture.handler.full, true); /* and is not read either */
    fixture_pass_ms(IDLE_MS);
    assert_true(fixture_run());
    fixture_expect(client, "");
    atomic_store(&fixture.handler.full, false);
    turn_resume(session);
    fixture_answer(0, "1");
    assert_true(fixture_run());
    fixture_expect(client, "1\n");
    fixture_pass_ms(IDLE_MS - 1);
    fixture_ask(client, "a\n", "a\n");
    close(client);
}

/* The handler has let the time of its requests stand still for so long. */
static int64_t paused_sum_ms;

static int64_t paused_ms(struct handler *handler, void *data, int64_t now_ms)
{
    (void) handler, (void) data, (void) now_ms;
    return paused_sum_ms;
}

static void the_time_of_a_request_stands_still_while_the_handler_says_so(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    static struct handler_kind kind; /* the end of the test still looks at it */
    kind = *fixture.handler.kind;
    kind.paused_ms = paused_ms;
    fixture.handler.kind = &kind;
    paused_sum_ms = 1000;
    fixture_ask(client, "hold 1\n", "");
    paused_sum_ms += 3 * HANDLER_MS;
    fixture_pass_ms(HANDLER_MS);
    assert_true(fixture_run());
    fixture_expect(client, "");
    fixture_pass_ms(3 * HANDLER_MS - 1);
    assert_true(fixture_run());
    fixture_expect(client, "");
    fixture_pass_ms(1);
    assert_true(fixture_run());
    fixture_expect(client, "-ERR handler-timeout the handler has not answered in time\n");
    close(client);
}

static void a_late_answer_is_replaced_and_the_session_goes_on(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    fixture_ask(client, "hold 1\n", "");
    fixture_pass_ms(50);
    fixture_ask(client, "hold 2\nbehind\n", "");
    fixture_pass_ms(HANDLER_MS - 50);
    assert_true(fixture_run());
    fixture_expect(client, "-ERR handler-timeout the handler has not answered in time\n");
    fixture_answer(1, "in time");
    assert_true(fixture_run());
    fixture_expect(client, "in time\nbehind\n");
    fixture_answer(0, "late");
    fixture_pass_ms(HANDLER_MS);
    fixture_ask(client, "more\n", "more\n");
    close(client);
    assert_int_equal(fixture_logged("The handler has not answered within 200 ms"), 1);
}

static void a_client_that_reads_nothing_is_closed(void **state)
{
    (void) state;
    int client;
    char text[4096];
    struct session *session = fixture_session(&client);
    fixture_say(client, "big 2000000\n");
    assert_true(fixture_run());
    fixture_pass_ms(WRITE_MS - 1);
    assert_true(fixture_run());
    /* A little that is read gives it more time. */
    while (recv(client, text, sizeof text, MSG_DONTWAIT) > 0)
        continue;
    assert_true(fixture_run());
    fixture_pass_ms(WRITE_MS - 1);
    assert_true(fixture_run());
    assert_false(session->closed);
    fixture_pass_ms(1);
    assert_true(fixture_run());
    assert_true(session->closed);
    close(client);
    assert_int_equal(fixture_logged("The client has read nothing for 300 ms"), 1);
}

#define DEADLINES_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DEADLINES_TEST(a_silent_client_is_due_at_the_idle_timeout),
        DEADLINES_TEST(nothing_is_due_without_timeouts),
        DEADLINES_TEST(a_client_that_does_not_close_is_due_after_a_linger),
        DEADLINES_TEST(the_first_request_that_is_not_ready_is_due),
        DEADLINES_TEST(a_client_that_reads_nothing_is_due_at_the_write_timeout),
        DEADLINES_TEST(a_deadline_that_moves_away_stays_in_the_heap_until_it_comes_out),
        DEADLINES_TEST(a_deadline_that_comes_nearer_moves_in_the_heap),
        DEADLINES_TEST(nothing_is_due_before_the_sockets_have_been_looked_at),
        DEADLINES_TEST(a_pause_moves_every_deadline),
        DEADLINES_TEST(a_pause_leaves_what_is_the_handler_s_alone),
        DEADLINES_TEST(the_time_of_a_half_received_request_does_not_begin_again),
        DEADLINES_TEST(the_time_of_a_half_received_request_stands_still_while_nothing_is_read),
        DEADLINES_TEST(a_complete_request_ends_the_time_of_its_half),
        DEADLINES_TEST(half_a_request_is_answered_and_the_session_ends),
        DEADLINES_TEST(a_silent_client_is_closed_without_a_word_and_lingers),
        DEADLINES_TEST(a_client_that_is_owed_a_reply_is_not_idle),
        DEADLINES_TEST(the_time_of_a_request_stands_still_while_the_handler_says_so),
        DEADLINES_TEST(a_late_answer_is_replaced_and_the_session_goes_on),
        DEADLINES_TEST(a_client_that_reads_nothing_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
