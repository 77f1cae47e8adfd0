/*
 * test_program_workers: what a handler's workers do, as other threads see it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <time.h>

#include "common/clock.h"
#include "server/handler.h"
#include "server/handler_workers.h"
#include "server/handlers/kinds.h"
#include "server/handlers/program/program.h"
#include "server/handlers/program/scoreboard.h"
#include "server/request_owner.h"

enum { LIMIT_MS = 60000, MAX_SEEN = 16 };

/* ---- the scoreboard ---- */

static void scores_are_listed_while_they_are_taken(void **state)
{
    (void) state;
    struct scoreboard board;
    struct handler_worker worker;
    unsigned place = 0;
    assert_true(scoreboard_init(&board, 2));
    assert_false(scoreboard_next(&board, &place, &worker));
    struct score *one = scoreboard_take(&board, 1), *two = scoreboard_take(&board, 2);
    assert_null(scoreboard_take(&board, 3));
    score_state(two, HANDLER_WORKER_WORKS);
    score_pid(two, 20);
    score_requests(two, 5);
    scoreboard_replaced(&board, two);
    scoreboard_release(&board, one);
    assert_true(scoreboard_next(&board, &place, &worker));
    assert_int_equal(worker.number, 2);
    assert_int_equal(worker.state, HANDLER_WORKER_WORKS);
    assert_int_equal(worker.pid, 20);
    assert_int_equal(worker.requests, 5);
    assert_int_equal(worker.restarts, 1);
    assert_false(scoreboard_next(&board, &place, &worker));
    assert_int_equal(scoreboard_replacements(&board), 1);
    assert_ptr_equal(scoreboard_take(&board, 4), one);
    scoreboard_fini(&board);
}

/* ---- a program's ---- */

static void open_program(struct handler *handler, struct program_options *options,
                         const char *script)
{
    static const char *argv[] = {"sh", "-c", NULL, NULL};
    struct handler_spec spec = {.kind = &handler_program, .program = options};
    struct handler_host host = {.cores = 2, .lines = true, .one_line = true};
    struct error error;
    argv[2] = script;
    options->argv = (char *const *) (uintptr_t) argv;
    if (!handler_open(handler, &spec, &host, &error))
        fail_msg("%s", error.text);
}

/* As many as there are. */
static unsigned see(struct handler *handler, struct handler_worker *seen)
{
    unsigned count = 0, place = 0;
    while (count < MAX_SEEN && handler_next_worker(handler, &place, &seen[count]))
        count++;
    return count;
}

static unsigned count_in(struct handler *handler, enum handler_worker_state state)
{
    struct handler_worker seen[MAX_SEEN];
    unsigned in = 0, count = see(handler, seen);
    for (unsigned i = 0; i < count; i++)
        in += seen[i].state == state;
    return in;
}

static void rest_a_moment(void) { nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); }

static void wait_for(struct handler *handler, enum handler_worker_state state, unsigned count)
{
    int64_t limit_ms = clock_ms() + LIMIT_MS;
    while (count_in(handler, state) != count) {
        assert_true(clock_ms() < limit_ms);
        rest_a_moment();
    }
}

static struct request *give(struct handler *handler, void *session, const char *message)
{
    struct request *request = request_new(handler, NULL, NULL);
    request_start(request, NULL, NULL, 1, message, strlen(message));
    request->session_data = session;
    request_set_deadline(request, CLOCK_NEVER, clock_ms());
    handler->kind->handle(handler, request);
    request_release(request); /* the call's hold */
    return request;
}

static void get_answer(struct request *request)
{
    int64_t limit_ms = clock_ms() + LIMIT_MS;
    while (!request_is_over(request)) {
        assert_true(clock_ms() < limit_ms);
        rest_a_moment();
    }
    request_unref(request);
}

#define ECHO "while read x; do echo $x; done"
#define HANG "read x; until [ ! -e /dev/zero ]; do sleep 0.01; done"

static void workers_are_seen_with_what_they_have_done(void **state)
{
    (void) state;
    struct handler handler;
    struct program_options options = {.workers = 2};
    struct handler_worker seen[MAX_SEEN];
    struct peer_text peer = {"here", ""};
    open_program(&handler, &options, ECHO);
    void *session = handler.kind->session_begun(&handler, 1, &peer);
    wait_for(&handler, HANDLER_WORKER_WAITS, 2);
    for (int i = 0; i < 5; i++)
        get_answer(give(&handler, session, "x"));
    wait_for(&handler, HANDLER_WORKER_WAITS, 2);
    assert_int_equal(see(&handler, seen), 2);
    assert_int_equal(seen[0].requests + seen[1].requests, 5);
    assert_int_equal(seen[0].number + seen[1].number, 3);
    assert_true(seen[0].pid > 0 && seen[1].pid > 0 && seen[0].pid != seen[1].pid);
    assert_int_equal(handler_replacements(&handler), 0);
    kill(seen[1].pid, SIGKILL);
    while (handler_replacements(&handler) == 0)
        rest_a_moment();
    wait_for(&handler, HANDLER_WORKER_WAITS, 2);
    assert_int_equal(see(&handler, seen), 2);
    assert_int_equal(seen[0].restarts + seen[1].restarts, 1);
    handler.kind->session_ended(&handler, session);
    handler_close(&handler);
}

static void one_that_has_a_request_works(void **state)
{
    (void) state;
    struct handler handler;
    struct program_options options = {.workers = 2};
    struct peer_text peer = {"here", ""};
    open_program(&handler, &options, HANG);
    void *session = handler.kind->session_begun(&handler, 1, &peer);
    wait_for(&handler, HANDLER_WORKER_WAITS, 2);
    struct request *request = give(&handler, session, "x");
    wait_for(&handler, HANDLER_WORKER_WORKS, 1);
    assert_int_equal(count_in(&handler, HANDLER_WORKER_WAITS), 1);
    assert_true(request_cancel(request));
    request_unref(request);
    handler.kind->session_ended(&handler, session);
    handler_close(&handler);
}

static const struct {
    struct program_options options;
    unsigned seen;
} ahead[] = {
    {{.workers = 3, .worker_per_client = true}, 3},
    {{.workers = 3, .worker_per_request = true}, 3},
    {{.workers = 3, .worker_per_client = true, .reply_end = REPLY_END_NONE}, 3},
    {{.workers = 3, .tagged = true}, 3},
};

static void those_that_were_started_ahead_wait(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof ahead / sizeof *ahead; i++) {
        struct handler handler;
        struct program_options options = ahead[i].options;
        struct handler_worker seen[MAX_SEEN];
        open_program(&handler, &options, ECHO);
        wait_for(&handler, HANDLER_WORKER_WAITS, ahead[i].seen);
        assert_int_equal(see(&handler, seen), ahead[i].seen);
        handler_close(&handler);
    }
}

static void other_handlers_have_none(void **state)
{
    (void) state;
    struct handler handler;
    struct handler_spec spec;
    struct handler_host host = {.cores = 1};
    struct handler_worker seen[MAX_SEEN];
    struct error error;
    assert_true(handler_parse(&spec, "hello", &error));
    assert_true(handler_open(&handler, &spec, &host, &error));
    assert_int_equal(see(&handler, seen), 0);
    assert_int_equal(handler_replacements(&handler), 0);
    handler_close(&handler);
}

static void states_have_names(void **state)
{
    (void) state;
    static const char *const names[] = {"starting", "waits", "rests", "works", "down"};
    for (int i = 0; i < HANDLER_WORKER_STATES; i++)
        assert_string_equal(handler_worker_state_name(i), names[i]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_listed_while_they_are_taken),
        cmocka_unit_test(workers_are_seen_with_what_they_have_done),
        cmocka_unit_test(one_that_has_a_request_works),
        cmocka_unit_test(those_that_were_started_ahead_wait),
        cmocka_unit_test(other_handlers_have_none),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
