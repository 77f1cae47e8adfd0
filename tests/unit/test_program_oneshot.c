/*
 * test_program_oneshot: an instance for one request: what it is given, what its reply is, and how
 * many there are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "server/handlers/program/instance_end.h"
#include "server/handlers/program/instance_errors.h"
#include "server/handlers/program/oneshots.h"
#include "server/handlers/program/queue.h"
#include "server/handlers/program/variables.h"
#include "server/request_owner.h"

enum { LIMIT_MS = 60000 };

struct fixture {
    struct command command;
    struct instances instances;
    struct oneshots oneshots;
};

static void begin(struct fixture *fixture, const char *script, const struct oneshot_rules *rules)
{
    static const char *argv[] = {"sh", "-c", NULL, NULL};
    static const struct spawn_options plain = {.pty = false};
    struct error error;
    argv[2] = script;
    assert_true(command_init(&fixture->command, (char *const *) (uintptr_t) argv, &error));
    assert_true(instances_init(&fixture->instances, &fixture->command, &plain, NULL));
    instances_update_time(&fixture->instances, CLOCK_NEVER);
    oneshots_init(&fixture->oneshots, &fixture->instances, rules);
}

static void take_event(struct fixture *fixture, const struct channel *channel)
{
    struct instance *instance = channel->instance;
    struct oneshot *oneshot = instance->oneshot;
    if (channel->fd < 0)
        return;
    switch (channel->kind) {
    case CHANNEL_END:
        if (oneshot)
            oneshot_exited(&fixture->oneshots, oneshot);
        else
            instance_exited(&fixture->instances, instance);
        break;
    case CHANNEL_INPUT:
        oneshot_write(&fixture->oneshots, oneshot);
        break;
    case CHANNEL_OUTPUT:
        if (oneshot)
            oneshot_read(&fixture->oneshots, oneshot);
        else
            instance_discard_output(&fixture->instances, instance);
        break;
    default:
        instance_log_errors(&fixture->instances, instance);
        break;
    }
}

static void run_batch(struct fixture *fixture)
{
    struct instances *instances = &fixture->instances;
    struct epoll_event events[8];
    int64_t left = instances->due_ms - clock_ms();
    int wait = left < 0 ? 0 : left < LIMIT_MS ? (int) left : LIMIT_MS;
    int count = epoll_wait(instances->epoll_fd, events, 8, wait);
    instances_update_time(instances, CLOCK_NEVER);
    instances->looked_ms = instances->now_ms;
    for (int i = 0; i < count; i++)
        take_event(fixture, events[i].data.ptr);
    instances->due_ms = INT64_MAX;
    instances_act(instances);
    oneshots_act(&fixture->oneshots);
    oneshots_start_ahead(&fixture->oneshots);
    instances_sweep(instances);
}

static void end(struct fixture *fixture)
{
    fixture->oneshots.rules.ahead = 0;
    oneshots_end(&fixture->oneshots);
    assert_int_equal(fixture->oneshots.starting, 0);
    assert_int_equal(fixture->oneshots.spare_count, 0);
    while (!LIST_EMPTY(&fixture->instances.all))
        run_batch(fixture);
    assert_int_equal(fixture->instances.count, 0);
    instances_fini(&fixture->instances);
    command_fini(&fixture->command);
}

/* The oneshot gets the handler's hold; the test has the engine's reference. */
static struct request *new_request(const char *message)
{
    struct request *request = request_new(NULL, NULL, NULL);
    assert_non_null(request);
    request_start(request, NULL, NULL, 7, message, strlen(message));
    request_set_deadline(request, CLOCK_NEVER, clock_ms());
    assert_true(request_hold(request));
    request_release(request);
    return request;
}

static void assert_reply(struct fixture *fixture, struct request *request, const char *reply)
{
    while (!request_is_over(request))
        run_batch(fixture);
    assert_int_equal(buffer_size(&request->reply), strlen(reply));
    if (*reply)
        assert_memory_equal(buffer_head(&request->reply), reply, strlen(reply));
    request_unref(request);
}

#define LINE "\n"
#define ERROR "-ERR handler-failed the "

static const struct {
    const char *script, *request, *end;
    bool one_line;
    const char *reply;
} replies[] = {
    {"cat", "x", LINE, true, "x"},
    {"cat", "", LINE, true, ""},
    {"cat", "", "", true, ""},
    {"cat", "x", "", true, "x"},
    {"wc -c", "x", LINE, true, "2"},
    {"wc -c", "x", "", true, "1"},
    {"cat; echo y", "x", LINE, false, "x\ny"},
    {"cat; echo; echo", "x", "", false, "x\n"},
    {"cat; printf '\\r\\n'", "x", "", false, "x"},
    {"cat; echo y", "x", LINE, true,
     ERROR "answer has 2 lines: --framing block or netstring carries them"},
    {"cat; exit 3", "x", LINE, true, ERROR "program ended with status 3"},
    {"cat; kill -KILL $$", "x", LINE, true, ERROR "program was killed by signal 9"},
    {"echo z", "is not read", LINE, true, "z"},
    {"sleep 1000 & echo z", "x", LINE, true, "z"},
    {"exec >&-; cat", "x", LINE, true, ERROR "program ended with status 1"},
    {"exec >&-; exit 0", "x", LINE, true, ""},
    {"exec <&-; echo z", "x", LINE, true, "z"},
    {"echo $BANTER_SESSION $BANTER_ADDRESS $BANTER_IDENTITY $BANTER_WORKER", "x", LINE, true,
     "7 here uid=5 1"},
};

static void the_reply_is_what_it_has_written_when_it_ends(void **state)
{
    (void) state;
    struct flow *flow = flow_new(7);
    flow_set_peer(flow, &(struct peer_text){"here", "uid=5"});
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        struct oneshot_rules rules = {
            .end = replies[i].end, .one_line = replies[i].one_line, .max = 1, .starts = 1};
        struct fixture fixture;
        begin(&fixture, replies[i].script, &rules);
        struct request *request = new_request(replies[i].request);
        oneshots_begin(&fixture.oneshots, request, flow);
        assert_reply(&fixture, request, replies[i].reply);
        end(&fixture);
    }
    flow_free(flow);
}

static const struct oneshot_rules two = {.end = LINE, .ahead = 2, .max = 3, .starts = 2};

static void as_many_run_as_there_may_be(void **state)
{
    (void) state;
    struct fixture fixture;
    struct flow *flow = flow_new(7);
    struct request *requests[3];
    begin(&fixture, "read x; until [ ! -e /dev/zero ]; do sleep 0.01; done", &two);
    for (int i = 0; i < 3; i++) {
        /* Two start at a time; they have started when they were silent for a moment. */
        while (!oneshots_can_begin(&fixture.oneshots))
            run_batch(&fixture);
        fixture.oneshots.rules.ahead = 0;
        oneshots_begin(&fixture.oneshots, requests[i] = new_request("x"), flow);
        assert_true(fixture.oneshots.starting <= 2);
    }
    while (fixture.oneshots.starting > 0)
        run_batch(&fixture);
    assert_false(oneshots_can_begin(&fixture.oneshots));
    assert_true(request_cancel(requests[1]));
    oneshots_end_over(&fixture.oneshots);
    while (!oneshots_can_begin(&fixture.oneshots))
        run_batch(&fixture);
    end(&fixture);
    for (int i = 0; i < 3; i++)
        request_unref(requests[i]);
    flow_free(flow);
}

static void some_wait_for_their_requests(void **state)
{
    (void) state;
    struct fixture fixture;
    struct flow *flow = flow_new(7);
    begin(&fixture, "echo $BANTER_WORKER$BANTER_SESSION; cat", &two);
    oneshots_start_ahead(&fixture.oneshots);
    while (fixture.oneshots.spare_count < 2)
        run_batch(&fixture);
    struct request *first = new_request("a"), *second = new_request("b");
    oneshots_begin(&fixture.oneshots, first, flow);
    oneshots_begin(&fixture.oneshots, second, flow);
    assert_reply(&fixture, second, "2\nb");
    assert_reply(&fixture, first, "1\na");
    while (fixture.oneshots.spare_count < 2)
        run_batch(&fixture);
    end(&fixture);
    flow_free(flow);
}

static void one_that_has_ended_gets_no_request(void **state)
{
    (void) state;
    struct fixture fixture;
    struct flow *flow = flow_new(7);
    begin(&fixture, "test $BANTER_SESSION && cat", &two);
    oneshots_start_ahead(&fixture.oneshots);
    struct instance *spare = TAILQ_FIRST(&fixture.oneshots.spares)->instance;
    struct pollfd ended = {spare->end.fd, POLLIN, 0};
    assert_int_equal(poll(&ended, 1, LIMIT_MS), 1); /* and nobody has noticed */
    struct request *request = new_request("a");
    oneshots_begin(&fixture.oneshots, request, flow);
    assert_reply(&fixture, request, "a");
    end(&fixture);
    flow_free(flow);
}

static void those_that_end_without_a_request_come_ever_later(void **state)
{
    (void) state;
    struct fixture fixture;
    begin(&fixture, "exit 0", &two);
    oneshots_start_ahead(&fixture.oneshots);
    while (fixture.oneshots.failures < 4)
        run_batch(&fixture);
    assert_true(fixture.oneshots.spare_ms >= fixture.instances.now_ms + 50);
    end(&fixture);
}

static void one_that_is_late_is_ended(void **state)
{
    (void) state;
    struct fixture fixture;
    struct flow *flow = flow_new(7);
    begin(&fixture, "trap '' TERM; cat; while :; do sleep 1; done", &two);
    struct request *request = new_request("a");
    request_set_deadline(request, clock_ms(), clock_ms());
    oneshots_begin(&fixture.oneshots, request, flow);
    assert_reply(&fixture, request, "-ERR handler-timeout the handler has not answered in time");
    end(&fixture);
    flow_free(flow);
}

static void it_finds_the_client_in_its_environment(void **state)
{
    (void) state;
    struct spawn_options with = {0}, without = {0};
    struct variables variables, others;
    variables_set(&variables, &with, 12, &(struct peer_text){"127.0.0.1:80", ""});
    assert_string_equal(with.environment[0], "BANTER_SESSION=12");
    assert_string_equal(with.environment[1], "BANTER_ADDRESS=127.0.0.1:80");
    assert_string_equal(with.environment[2], "BANTER_IDENTITY=");
    variables_set(&others, &without, 1, NULL);
    assert_string_equal(without.environment[0], "BANTER_SESSION=1");
    assert_null(without.environment[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reply_is_what_it_has_written_when_it_ends),
        cmocka_unit_test(as_many_run_as_there_may_be),
        cmocka_unit_test(some_wait_for_their_requests),
        cmocka_unit_test(one_that_has_ended_gets_no_request),
        cmocka_unit_test(those_that_end_without_a_request_come_ever_later),
        cmocka_unit_test(one_that_is_late_is_ended),
        cmocka_unit_test(it_finds_the_client_in_its_environment),
    };
    signal(SIGPIPE, SIG_IGN); /* the supervisor's thread has it blocked */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
