/*
 * test_dispatch: whether a request is called in the loop or in the executor, what comes of it, and
 * how a turn goes on whose loop was taken in the call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/engine/executor.h"
#include "server/engine/monitor.h"
#include "server/engine/pool.h"
#include "server/session/dispatch.h"
#include "server/session/input.h"
#include "server/session/output.h"
#include "tests/unit/shard_fixture.h"

/* ---- an executor ---- */

static struct pool *pool;
static struct executor *executor;
static struct monitor *monitor;

static bool own_nothing(struct loop *loop, struct pool_thread *thread, struct pool_thread *from)
{
    (void) loop, (void) thread, (void) from;
    return true;
}

static void ignore(void *context) { (void) context; }

static const struct pool_ops pool_ops = {.own = own_nothing, .lost = ignore, .fini = ignore};

/* The monitor only begins what was submitted: no call is long enough to lose its loop. */
static int set_up_executor(void **state)
{
    if (fixture_set_up(state) != 0)
        return -1;
    pool = pool_new(6, &pool_ops, NULL);
    pool_keep(pool, 2);
    executor = executor_new(2, pool, &dispatch_job_ops);
    struct monitor_config config = {
        .scaler = &fixture.scaler, .pool = pool, .executor = executor, .stall_ms = INT32_MAX / 100};
    monitor = monitor_start(&config);
    fixture.shared.executor = executor;
    fixture.shared.monitor = monitor;
    return monitor ? 0 : -1;
}

static int tear_down_executor(void **state)
{
    unsigned left = pool_stop(pool, CLOCK_NEVER, 0);
    monitor_stop(monitor);
    monitor_free(monitor);
    fixture.shared.monitor = NULL;
    int failure = fixture_tear_down(state);
    executor_free(executor);
    pool_free(pool);
    return failure || left ? -1 : 0;
}

/* As the owner of a loop that is in a batch, so that the monitor does not sleep. */
static void ask_in_batch(int client, const char *requests)
{
    monitor_batch_begins(monitor, &fixture.shard.loop);
    fixture_say(client, requests);
    assert_true(fixture_run());
}

/* It may be there already. */
static void await_reply(int client, const char *reply)
{
    char byte;
    bool owned;
    while (recv(client, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
        fixture_batch(-1, &owned);
        assert_true(fixture_run());
    }
    fixture_expect(client, reply);
    monitor_batch_ends(&fixture.shard.loop);
}

/* ---- where a request is called ---- */

static struct handler_session *begin_session(struct handler *handler, uint64_t session,
                                             const struct peer_text *peer)
{
    (void) handler, (void) session, (void) peer;
    return NULL;
}

static const struct handler_kind kind_with_data = {
    .name = "data", .handle = fixture_handle, .session_begun = begin_session};

static const struct {
    enum cost cost;
    bool alarm;    /* a call has lost the loop a moment ago */
    bool has_data; /* the handler has data of each session */
    bool in_executor;
} choices[] = {
    {COST_UNKNOWN, false, false, false},     {COST_UNKNOWN, true, false, true},
    {COST_UNKNOWN, true, true, false},       {COST_QUICK, false, false, false},
    {COST_QUICK, true, false, false},        {COST_DOUBTED, false, false, false},
    {COST_DOUBTED, true, false, false},      {COST_SLEEPS, false, false, true},
    {COST_SLEEPS, false, true, false},       {COST_COMPUTES, false, false, true},
    {COST_COMPUTES + 5, false, false, true}, {COST_COMPUTES + 5, true, true, false},
};

static void what_takes_long_is_called_in_the_executor(void **state)
{
    (void) state;
    int client;
    uint64_t submitted = 0;
    struct session *session = fixture_session(&client);
    for (unsigned i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        fixture.handler.kind = choices[i].has_data ? &kind_with_data : &fixture_kind;
        fixture.shard.loop.alarm_until_ms = fixture.shard.loop.now_ms + choices[i].alarm;
        session->cost = choices[i].cost;
        ask_in_batch(client, "x\n");
        if (choices[i].in_executor)
            await_reply(client, "x\n");
        else
            fixture_expect(client, "x\n");
        submitted += choices[i].in_executor;
        assert_int_equal(executor_submitted(executor), submitted);
        assert_int_equal(fixture.calls, i + 1);
        assert_int_equal(!pthread_equal(fixture.caller, pthread_self()), choices[i].in_executor);
    }
    close(client);
}

static void all_is_called_in_the_loop_when_there_is_no_executor(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    session->cost = COST_COMPUTES;
    fixture_ask(client, "x\n", "x\n");
    assert_true(pthread_equal(fixture.caller, pthread_self()));
    assert_int_equal(session->cost, COST_QUICK); /* it was, after all */
    close(client);
}

static void a_call_that_was_measured_makes_its_session_known(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    atomic_store(&fixture.shard.loop.measures, true);
    session->cost = COST_COMPUTES + 5;
    ask_in_batch(client, "x\n");
    await_reply(client, "x\n");
    assert_int_not_equal(session->cost, COST_COMPUTES + 5); /* it took less */
    assert_true(atomic_load(&fixture.shard.loop.measures)); /* the loop has measured nothing */
    session->cost = COST_QUICK;
    ask_in_batch(client, "y\n");
    fixture_expect(client, "y\n");
    assert_int_equal(atomic_load(&fixture.shard.loop.measures), session->cost != COST_QUICK);
    close(client);
}

static void no_other_request_is_taken_while_a_call_outside_of_the_loop_goes_on(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    session->cost = COST_SLEEPS;
    ask_in_batch(client, "stay\nnext\nlast\n");
    fixture_expect(client, "");
    assert_false(input_open(session));
    assert_non_null(session->active->stalled);
    sem_post(&fixture.leave);
    while (session->active) {
        bool owned;
        fixture_batch(-1, &owned);
        assert_true(fixture_run());
    }
    fixture_expect(client, "stay\nnext\nlast\n");
    assert_int_equal(fixture.calls, 3);
    close(client);
}

static void a_call_outside_of_the_loop_may_hold_its_request(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    session->cost = COST_SLEEPS;
    ask_in_batch(client, "hold\n");
    bool owned;
    while (session->active->stalled) /* until the call has returned */
        fixture_batch(-1, &owned);
    fixture_expect(client, "");
    assert_true(input_open(session));
    assert_int_equal(fixture.held_count, 1);
    session->cost = COST_QUICK;
    ask_in_batch(client, "next\n");
    fixture_expect(client, "");
    fixture_answer(0, "late");
    await_reply(client, "late\nnext\n");
    close(client);
}

/* ---- no call ---- */

#define LATE_AT_STOP "-ERR handler-timeout the server is stopping\n"
#define STOPPING "-ERR stopping the server is stopping\n"

static void a_stop_answers_what_was_begun_and_takes_back_the_rest(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    fixture_ask(client, "hold 1\nhold 2\nhold 3\na\nhold 4\nhold 5\n", "");
    request_defer(fixture.held[0]); /* it is owed, since one behind it was begun */
    for (int i = 3; i < 5; i++)
        request_defer(fixture.held[i]);
    fixture_answer(4, "not begun, but answered");
    fixture.shard.draining = true;
    turn_refuse(session);
    assert_true(fixture_run());
    fixture_expect_end(client, LATE_AT_STOP LATE_AT_STOP LATE_AT_STOP "a\n" STOPPING);
    for (int i = 0; i < 4; i++)
        assert_false(request_begin(fixture.held[i]));
    assert_false(request_was_begun(fixture.held[3]));
    close(client);
}

static void a_stop_takes_back_all_if_nothing_was_begun(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    fixture_ask(client, "hold 1\nhold 2\n", "");
    for (int i = 0; i < 2; i++)
        request_defer(fixture.held[i]);
    assert_true(request_begin(fixture.held[0]));
    request_defer(fixture.held[0]); /* in vain */
    fixture.shard.draining = true;
    turn_refuse(session);
    assert_true(fixture_run());
    fixture_expect_end(client, STOPPING);
    close(client);
}

static void a_session_that_ends_by_itself_is_not_told_of_the_stop(void **state)
{
    (void) state;
    int quits, stays;
    struct session *one = fixture_session(&quits), *other = fixture_session(&stays);
    fixture_ask(quits, "a\nhold 1\n--QUIT--\n", "a\n");
    fixture_ask(stays, "a\nhold 2\nhalf", "a\n");
    fixture.shard.draining = true;
    turn_drain(one, &fixture.scratch);
    turn_drain(other, &fixture.scratch);
    fixture_answer(0, "1");
    fixture_answer(1, "2");
    assert_true(fixture_run());
    fixture_expect_end(quits, "1\n");
    fixture_expect_end(stays, "2\n" STOPPING);
    close(quits);
    close(stays);
}

static void a_full_handler_gets_nothing_from_one_that_is_owed_a_reply(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    fixture_ask(client, "hold 1\n", "");
    atomic_store(&fixture.handler.full, true);
    fixture_ask(client, "x\n", "");
    assert_int_equal(fixture.calls, 1);
    assert_false(session->watches_in);
    atomic_store(&fixture.handler.full, false);
    turn_resume(session);
    assert_true(session->watches_in);
    assert_true(fixture_run());
    assert_int_equal(fixture.calls, 2);
    fixture_answer(0, "1");
    assert_true(fixture_run());
    fixture_expect(client, "1\nx\n");
    close(client);
}

/* Those that have filled it don't stop the others. */
static void a_full_handler_gets_a_request_from_one_that_is_owed_nothing(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    atomic_store(&fixture.handler.full, true);
    fixture_ask(client, "x\n", "x\n");
    close(client);
}

static struct handler_session *begin_with_backlog(struct handler *handler, uint64_t session,
                                                  const struct peer_text *peer)
{
    static struct handler_session begun;
    (void) handler, (void) session, (void) peer;
    return &begun;
}

static void end_with_backlog(struct handler *handler, void *data) { (void) handler, (void) data; }

static const struct handler_kind kind_with_backlog = {.name = "backlog",
                                                      .handle = fixture_handle,
                                                      .session_begun = begin_with_backlog,
                                                      .session_ended = end_with_backlog};

static void a_session_is_read_as_its_backlog_allows(void **state)
{
    (void) state;
    static const struct {
        enum handler_backlog backlog;
        bool full, read;
    } cases[] = {
        {HANDLER_BACKLOG_NONE, false, true},  {HANDLER_BACKLOG_NONE, true, true},
        {HANDLER_BACKLOG_SOME, false, true},  {HANDLER_BACKLOG_SOME, true, false},
        {HANDLER_BACKLOG_FULL, false, false}, {HANDLER_BACKLOG_FULL, true, false},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int client;
        struct session *session = fixture_session(&client);
        fixture.handler.kind = &kind_with_backlog;
        fixture.held_count = fixture.calls = 0;
        fixture_ask(client, "hold 1\n", "");
        struct handler_session *data = session->handler_data;
        atomic_store(&fixture.handler.full, cases[i].full);
        atomic_store(&data->backlog, (unsigned char) cases[i].backlog);
        fixture_ask(client, "x\n", "");
        assert_int_equal(fixture.calls, 1 + cases[i].read);
        /* The handler has taken the one that waited. */
        atomic_store(&data->backlog, HANDLER_BACKLOG_NONE);
        request_resume_session(fixture.held[0]);
        bool owned;
        fixture_batch(-1, &owned);
        assert_true(fixture_run());
        assert_int_equal(fixture.calls, 2);
        fixture_answer(0, "1");
        assert_true(fixture_run());
        fixture_expect(client, "1\nx\n");
        close(client);
        assert_true(fixture_run());
    }
}

/* One that has ended meanwhile is left alone. */
static void room_for_one_that_has_ended(void **state)
{
    (void) state;
    int client;
    bool owned;
    struct session *session = fixture_session(&client);
    fixture_ask(client, "hold 1\n", "");
    close_now(session);
    request_resume_session(fixture.held[0]);
    fixture_batch(-1, &owned);
    close(client);
}

/* ---- the loop is taken in a call ---- */

/* The new owner takes over the session, and the former one ends its call. */
static void hand_over(struct session *session, bool has_waited)
{
    struct scratch *from = &fixture.scratch;
    struct call_sample stall;
    call_sample_describe(&stall, pthread_self(), 0, has_waited);
    assert_ptr_equal(from->session, session);
    dispatch_adopt(session, from, &stall);
    assert_true(session->unparsed); /* there may be more requests in what was read */
    scratch_lost(from);
    assert_null(from->session);
    assert_null(from->request);
    loop_ready(&fixture.shard.loop, &session->active->ready);
}

static const struct {
    const char *requests;
    const char *at_once, *then; /* replies */
} lost_turns[] = {
    {"lose a\n", "", "a\n"},
    {"first\nlose a\n", "first\n", "a\n"},
    {"first\nlose a\nnext\n", "first\n", "a\nnext\n"},
    {"lose built\nnext\n", "", "built\nnext\n"},
    {"lose forget\nnext\n", "", "-ERR handler-failed the handler has not answered\nnext\n"},
};

static void a_turn_whose_loop_was_taken_goes_on(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    for (unsigned i = 0; i < sizeof lost_turns / sizeof lost_turns[0]; i++) {
        fixture_say(client, lost_turns[i].requests);
        assert_false(fixture_run());
        fixture_expect(client, "");
        hand_over(session, true);
        assert_int_equal(session->cost, COST_SLEEPS); /* as it was seen from outside */
        fixture_expect(client, lost_turns[i].at_once);
        assert_true(fixture_run());
        fixture_expect(client, lost_turns[i].then);
        assert_null(session->active);
        session->cost = COST_QUICK;
    }
    close(client);
}

static void what_was_read_of_the_next_request_is_kept(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    fixture_say(client, "lose a\nha");
    assert_false(fixture_run());
    hand_over(session, false);
    assert_int_equal(session->cost, COST_DOUBTED);
    assert_true(fixture_run());
    fixture_expect(client, "a\n");
    fixture_ask(client, "lf\n", "half\n");
    close(client);
}

static void no_other_request_is_taken_before_the_lost_call_has_returned(void **state)
{
    (void) state;
    int client;
    struct session *session = fixture_session(&client);
    fixture_ask(client, "hold 1\n", "");
    fixture_say(client, "lose hold 2\nnext\n");
    assert_false(fixture_run());
    hand_over(session, true);
    assert_false(input_open(session)); /* its return is in the inbox */
    assert_int_equal(fixture.calls, 2);
    assert_true(fixture_run());
    assert_int_equal(fixture.calls, 3);
    fixture_expect(client, "");
    fixture_answer(1, "second");
    fixture_answer(0, "first");
    assert_true(fixture_run());
    fixture_expect(client, "first\nsecond\nnext\n");
    close(client);
}

#define EXECUTOR_TEST(test)                                                                        \
    cmocka_unit_test_setup_teardown(test, set_up_executor, tear_down_executor)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(what_takes_long_is_called_in_the_executor),
        FIXTURE_TEST(all_is_called_in_the_loop_when_there_is_no_executor),
        EXECUTOR_TEST(a_call_that_was_measured_makes_its_session_known),
        EXECUTOR_TEST(no_other_request_is_taken_while_a_call_outside_of_the_loop_goes_on),
        EXECUTOR_TEST(a_call_outside_of_the_loop_may_hold_its_request),
        FIXTURE_TEST(a_stop_answers_what_was_begun_and_takes_back_the_rest),
        FIXTURE_TEST(a_stop_takes_back_all_if_nothing_was_begun),
        FIXTURE_TEST(a_session_that_ends_by_itself_is_not_told_of_the_stop),
        FIXTURE_TEST(a_full_handler_gets_nothing_from_one_that_is_owed_a_reply),
        FIXTURE_TEST(a_full_handler_gets_a_request_from_one_that_is_owed_nothing),
        FIXTURE_TEST(a_session_is_read_as_its_backlog_allows),
        FIXTURE_TEST(room_for_one_that_has_ended),
        FIXTURE_TEST(a_turn_whose_loop_was_taken_goes_on),
        FIXTURE_TEST(what_was_read_of_the_next_request_is_kept),
        FIXTURE_TEST(no_other_request_is_taken_before_the_lost_call_has_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
