/*
 * test_program_workers: what a handler's workers do, as other threads see it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/handler.h"
#include "server/handler_workers.h"
#include "server/handlers/kinds.h"
#include "server/handlers/program/program.h"
#include "server/handlers/program/scoreboard.h"
#include "server/request_owner.h"

enum { LIMIT_MS = 60000, MAX_SEEN = 16 };

static const struct peer_text peer = {"here", ""};

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

/* Returns the number that the reply is. */
static int get_pid(struct request *request)
{
    int64_t limit_ms = clock_ms() + LIMIT_MS;
    char text[64] = "";
    while (request_outcome(request) != REQUEST_ANSWERED) {
        assert_true(clock_ms() < limit_ms);
        rest_a_moment();
    }
    assert_true(buffer_size(&request->reply) < sizeof text);
    memcpy(text, buffer_head(&request->reply), buffer_size(&request->reply));
    request_unref(request);
    return (int) strtol(text, NULL, 10);
}

#define ECHO "while read x; do echo $x; done"
#define ECHO_PID "while read x; do echo $$; done"
#define HANG "read x; until [ ! -e /dev/zero ]; do sleep 0.01; done"

static void workers_are_seen_with_what_they_have_done(void **state)
{
    (void) state;
    struct handler handler;
    struct program_options options = {.workers = 2};
    struct handler_worker seen[MAX_SEEN];
    open_program(&handler, &options, ECHO);
    void *session = handler.kind->session_begun(&handler, 1, &peer);
    wait_for(&handler, HANDLER_WORKER_WAITS, 2);
    for (int i = 0; i < 5; i++)
        assert_int_equal(get_pid(give(&handler, session, "5")), 5);
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

/* ---- a restart ---- */

static void wait_for_end(const struct handler *handler)
{
    eventfd_t count;
    struct pollfd ended = {handler_restart_fd(handler), POLLIN, 0};
    assert_int_equal(poll(&ended, 1, LIMIT_MS), 1);
    assert_int_equal(eventfd_read(ended.fd, &count), 0);
}

/* Returns what came of it in words. */
static const char *restart(struct handler *handler)
{
    static char text[500];
    struct handler_restart result;
    struct error error;
    if (!handler_restart_workers(handler, &error))
        fail_msg("%s", error.text);
    wait_for_end(handler);
    handler_restart_result(handler, &result);
    assert_false(result.runs);
    handler_restart_text(&result, text, sizeof text);
    return text;
}

static bool has_pid(const struct handler_worker *seen, unsigned count, int pid)
{
    for (unsigned i = 0; i < count; i++)
        if (seen[i].pid == pid)
            return true;
    return false;
}

static const struct {
    struct program_options options;
    const char *restarted;
    unsigned count;
} restarted[] = {
    {{.workers = 1}, "restarted 1", 1},
    {{.workers = 4}, "restarted 4", 4},
    {{.workers = 3, .tagged = true}, "restarted 3", 3},
    {{.workers = 3, .worker_per_client = true}, "restarted 3", 3},
    {{.workers = 3, .worker_per_client = true, .max_workers = 3}, "restarted 3", 3},
    {{.workers = 3, .worker_per_request = true}, "restarted 3", 3},
    {{.workers = 3, .worker_per_request = true, .max_workers = 3}, "restarted 3", 3},
    {{.workers = 3, .worker_per_client = true, .reply_end = REPLY_END_NONE}, "restarted 3", 3},
    {{.worker_per_client = true}, "restarted 0", 0},
    {{.worker_per_request = true}, "restarted 0", 0},
};

static void each_gets_another_process(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof restarted / sizeof *restarted; i++) {
        struct handler handler;
        struct program_options options = restarted[i].options;
        struct handler_worker before[MAX_SEEN], after[MAX_SEEN];
        open_program(&handler, &options, ECHO);
        for (int round = 0; round < 3; round++) {
            wait_for(&handler, HANDLER_WORKER_WAITS, restarted[i].count);
            unsigned count = see(&handler, before);
            assert_string_equal(restart(&handler), restarted[i].restarted);
            wait_for(&handler, HANDLER_WORKER_WAITS, restarted[i].count);
            assert_int_equal(see(&handler, after), count);
            for (unsigned worker = 0; worker < count; worker++)
                assert_false(has_pid(before, count, after[worker].pid));
        }
        handler_close(&handler);
    }
}

/* A folder for the files by which a test and its program's processes know of each other. */
struct folder {
    char path[32];
    char flag[40], gate[40];
};

/* Programs find it in $FOLDER. */
static void make_folder(struct folder *folder)
{
    strcpy(folder->path, "/tmp/banter.XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->flag, sizeof folder->flag, "%s/flag", folder->path);
    snprintf(folder->gate, sizeof folder->gate, "%s/gate", folder->path);
    assert_int_equal(setenv("FOLDER", folder->path, 1), 0);
    assert_int_equal(mkfifo(folder->gate, 0600), 0);
}

static void remove_folder(const struct folder *folder)
{
    unlink(folder->flag);
    unlink(folder->gate);
    rmdir(folder->path);
}

static void set_flag(const struct folder *folder)
{
    int fd = open(folder->flag, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* Lets the one go on that waits at the gate. */
static void open_gate(const struct folder *folder)
{
    int fd = open(folder->gate, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "\n", 1), 1);
    close(fd);
}

/* Answers "gate" only when the gate has been opened; anything else at once. */
#define GATE "while read x; do if [ $x = gate ]; then read y < $FOLDER/gate; fi; echo $$; done"

/* It has no instance if the flag is set. */
#define FLAG "[ ! -e $FOLDER/flag ] || exit 3; while read x; do echo $$; done"

static void one_that_works_ends_behind_its_request(void **state)
{
    (void) state;
    static const struct program_options kinds[] = {{.workers = 1}, {.workers = 1, .ahead = 4}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct handler handler;
        struct program_options options = kinds[i];
        struct handler_worker seen[MAX_SEEN];
        struct error error;
        struct folder folder;
        make_folder(&folder);
        open_program(&handler, &options, GATE);
        void *one = handler.kind->session_begun(&handler, 1, &peer);
        void *other = handler.kind->session_begun(&handler, 2, &peer);
        wait_for(&handler, HANDLER_WORKER_WAITS, 1);
        see(&handler, seen);
        int old = seen[0].pid;
        struct request *slow = give(&handler, one, "gate");
        wait_for(&handler, HANDLER_WORKER_WORKS, 1);
        assert_true(handler_restart_workers(&handler, &error));
        int new = get_pid(give(&handler, other, "x"));
        assert_int_not_equal(new, old);
        assert_int_equal(see(&handler, seen), 2);
        assert_false(handler_restart_workers(&handler, &error));
        assert_string_equal(error.text, "the workers are being restarted, 0 of 1 have been");
        open_gate(&folder);
        assert_int_equal(get_pid(slow), old);
        wait_for_end(&handler);
        assert_int_equal(get_pid(give(&handler, other, "x")), new);
        assert_int_equal(see(&handler, seen), 1);
        assert_int_equal(seen[0].pid, new);
        assert_int_equal(seen[0].restarts, 1);
        assert_int_equal(handler_replacements(&handler), 1);
        handler.kind->session_ended(&handler, one);
        handler.kind->session_ended(&handler, other);
        handler_close(&handler);
        remove_folder(&folder);
    }
}

static void a_successor_that_fails_leaves_the_old_one(void **state)
{
    (void) state;
    struct handler handler;
    struct program_options options = {.workers = 2};
    struct handler_worker before[MAX_SEEN], after[MAX_SEEN];
    struct folder folder;
    make_folder(&folder);
    open_program(&handler, &options, FLAG);
    wait_for(&handler, HANDLER_WORKER_WAITS, 2);
    see(&handler, before);
    set_flag(&folder);
    const char *text = restart(&handler);
    assert_non_null(
        strstr(text, "stays, its successor has failed: the program ended with status 3"));
    assert_memory_equal(text, "restarted 0 of 2: worker ", 25);
    assert_int_equal(see(&handler, after), 2);
    for (int i = 0; i < 2; i++) {
        assert_true(has_pid(before, 2, after[i].pid));
        assert_int_equal(after[i].state, HANDLER_WORKER_WAITS);
    }
    assert_int_equal(handler_replacements(&handler), 0);
    unlink(folder.flag);
    assert_string_equal(restart(&handler), "restarted 2");
    handler_close(&handler);
    remove_folder(&folder);
}

static void a_successor_has_the_time_of_a_start(void **state)
{
    (void) state;
    struct handler handler;
    struct program_options options = {.workers = 1, .start_timeout_ms = 300};
    struct folder folder;
    make_folder(&folder);
    open_program(&handler, &options,
                 "while [ -e $FOLDER/flag ]; do :; done; while read x; do echo $$; done");
    set_flag(&folder);
    assert_string_equal(restart(&handler),
                        "restarted 0 of 1: worker 1 stays, its successor has failed: the program "
                        "was not ready for a request within 300 ms");
    handler_close(&handler);
    remove_folder(&folder);
}

static void one_that_is_down_is_tried_at_once(void **state)
{
    (void) state;
    struct handler handler;
    struct program_options options = {.workers = 1};
    struct handler_worker seen[MAX_SEEN];
    struct folder folder;
    make_folder(&folder);
    open_program(&handler, &options, FLAG);
    wait_for(&handler, HANDLER_WORKER_WAITS, 1);
    set_flag(&folder);
    see(&handler, seen);
    kill(seen[0].pid, SIGKILL);
    wait_for(&handler, HANDLER_WORKER_DOWN, 1);
    const char *text = restart(&handler);
    assert_non_null(strstr(text, "restarted 0 of 1: worker 1 has failed again: the program ended"));
    unlink(folder.flag);
    assert_string_equal(restart(&handler), "restarted 1");
    assert_int_equal(count_in(&handler, HANDLER_WORKER_WAITS), 1);
    handler_close(&handler);
    remove_folder(&folder);
}

static void one_that_stands_still_is_replaced(void **state)
{
    (void) state;
    struct handler handler;
    struct program_options options = {.workers = 1};
    struct handler_worker seen[MAX_SEEN];
    open_program(&handler, &options, ECHO);
    wait_for(&handler, HANDLER_WORKER_WAITS, 1);
    see(&handler, seen);
    kill(seen[0].pid, SIGSTOP);
    assert_string_equal(restart(&handler), "restarted 1");
    handler_close(&handler);
}

static void the_end_of_the_handler_ends_a_restart(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof restarted / sizeof *restarted; i++) {
        struct handler handler;
        struct program_options options = restarted[i].options;
        struct error error;
        open_program(&handler, &options, ECHO);
        assert_true(handler_restart_workers(&handler, &error));
        handler_close(&handler);
    }
}

static void those_of_sessions_stay(void **state)
{
    (void) state;
    struct handler handler;
    struct program_options options = {.workers = 1, .worker_per_client = true};
    open_program(&handler, &options, ECHO_PID);
    void *session = handler.kind->session_begun(&handler, 1, &peer);
    int own = get_pid(give(&handler, session, "x"));
    wait_for(&handler, HANDLER_WORKER_WAITS, 2);
    assert_string_equal(restart(&handler), "restarted 1, 1 belong to clients and stay");
    assert_int_equal(get_pid(give(&handler, session, "x")), own);
    handler.kind->session_ended(&handler, session);
    handler_close(&handler);
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
    assert_int_equal(handler_restart_fd(&handler), -1);
    assert_false(handler_restart_workers(&handler, &error));
    assert_string_equal(error.text, "the handler \"hello\" has no workers");
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
        cmocka_unit_test(each_gets_another_process),
        cmocka_unit_test(one_that_works_ends_behind_its_request),
        cmocka_unit_test(a_successor_that_fails_leaves_the_old_one),
        cmocka_unit_test(a_successor_has_the_time_of_a_start),
        cmocka_unit_test(one_that_is_down_is_tried_at_once),
        cmocka_unit_test(one_that_stands_still_is_replaced),
        cmocka_unit_test(the_end_of_the_handler_ends_a_restart),
        cmocka_unit_test(those_of_sessions_stay),
        cmocka_unit_test(other_handlers_have_none),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
