/* test_memory: levels, who waits, and who is chosen; and what sessions count and are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/session/input.h"
#include "server/session/memory.h"
#include "tests/unit/shard_fixture.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

/* ---- the sum ---- */

static const struct {
    size_t bound, max_message;
    unsigned shards;
    size_t mark, grain;
} inits[] = {
    {64 * MIB, 5120, 2, 56 * MIB, 64 * KIB}, /* an eighth is room enough */
    {64 * MIB, 16 * MIB, 2, 48 * MIB - 64 * KIB, 64 * KIB},
    {32 * MIB, 16 * MIB, 2, 16 * MIB, 64 * KIB}, /* half of it at most */
    {1 * MIB, 100, 1, 896 * KIB, 28 * KIB},
    {1 * MIB, 100, 28, 896 * KIB, 1 * KIB},
};

static void marks_leave_room(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof inits / sizeof inits[0]; i++) {
        struct memory memory = {0};
        memory_init(&memory, inits[i].bound, inits[i].max_message, inits[i].shards);
        assert_int_equal(memory.mark, inits[i].mark);
        assert_int_equal(memory.grain, inits[i].grain);
    }
}

/* The mark is at 800, the bound at 1600; a step is a sixteenth. */
static const struct {
    int bytes;
    enum memory_level level;
    bool runs_short, has_room;
} steps[] = {
    {800, MEMORY_FREE, false, false},  {1, MEMORY_SHORT, true, false},
    {-1, MEMORY_SHORT, false, false},  {-50, MEMORY_FREE, false, true},
    {50, MEMORY_FREE, false, false},   {800, MEMORY_SHORT, true, false},
    {1, MEMORY_OUT, false, false},     {-100, MEMORY_OUT, false, false},
    {-1, MEMORY_SHORT, false, true},   {-700, MEMORY_SHORT, false, false},
    {-50, MEMORY_FREE, false, true},   {2000, MEMORY_OUT, true, false},
    {-2750, MEMORY_FREE, false, true},
};

static void levels_are_left_a_step_below_them(void **state)
{
    (void) state;
    struct memory memory = {.bound = 1600, .mark = 800};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        memory_wait(&memory, MEMORY_FREE);
        struct memory_change change = memory_add(&memory, steps[i].bytes);
        assert_int_equal(memory_level(&memory), steps[i].level);
        assert_int_equal(change.runs_short, steps[i].runs_short);
        assert_int_equal(change.has_room, steps[i].has_room);
    }
    assert_int_equal(memory.held, 0);
}

static void nobody_is_asked_again_if_nobody_waits(void **state)
{
    (void) state;
    struct memory memory = {.bound = 1600, .mark = 800};
    memory_add(&memory, 1000);
    assert_false(memory_add(&memory, -1000).has_room);
    memory_add(&memory, 1000);
    assert_true(memory_wait(&memory, MEMORY_SHORT));
    assert_true(memory_add(&memory, -1000).has_room);
    assert_false(memory_wait(&memory, MEMORY_SHORT)); /* too late */
}

static void one_is_chosen(void **state)
{
    (void) state;
    struct memory memory = {.bound = 1600, .mark = 800};
    assert_true(memory_choose(&memory, 7));
    assert_false(memory_choose(&memory, 8));
    assert_true(memory_choose(&memory, 7));
    assert_false(memory_unchoose(&memory));
    assert_true(memory_choose(&memory, 8));
    memory_wait(&memory, MEMORY_SHORT);
    assert_true(memory_unchoose(&memory));
}

static void without_a_bound_it_is_free(void **state)
{
    (void) state;
    struct memory memory = {0};
    assert_false(memory_add(&memory, PTRDIFF_MAX).runs_short);
    assert_int_equal(memory_level(&memory), MEMORY_FREE);
}

/* ---- sessions ---- */

enum { HALF = 100 * KIB };

/* What serve does when it takes shard->resume_node out of the inbox. */
static void ask_again(void)
{
    if (!atomic_exchange(&fixture.shard.resume_posted, false))
        return;
    loop_take_inbox(&fixture.shard.loop);
    shard_for_each(&fixture.shard, turn_resume);
    assert_true(fixture_run());
}

static void run(void)
{
    bool owned;
    while (fixture_batch(0, &owned) > 0 || fixture.shard.resume_posted) {
        assert_true(owned);
        ask_again();
    }
}

/* Takes what the kernel takes. */
static size_t send_half(int client)
{
    static char text[HALF];
    memset(text, 'x', sizeof text);
    ssize_t sent = send(client, text, sizeof text, MSG_NOSIGNAL);
    assert_true(sent > 0);
    return (size_t) sent;
}

static void bound_memory(size_t bound, size_t mark)
{
    fixture.memory.bound = bound;
    fixture.memory.mark = mark;
    fixture.shared.settings.rules.max_bytes = 10 * HALF;
}

static void what_sessions_hold_is_counted(void **state)
{
    (void) state;
    int client;
    fixture_session(&client);
    fixture_ask(client, "a\n", "a\n");
    assert_int_equal(fixture.memory.held, 0);
    fixture_ask(client, "half", "");
    assert_int_equal(fixture.memory.held, 4);
    fixture_ask(client, "\nhold", "half\n");
    assert_int_equal(fixture.memory.held, 4);
    fixture_ask(client, "\nbig 50000\n", "");
    assert_true(fixture.memory.held >= 4 + 9 + 50000);
    fixture_answer(0, "x");
    assert_true(fixture_run());
    assert_int_equal(fixture.memory.held, 0); /* the kernel has it */
    static char text[64 * KIB];
    assert_int_equal(recv(client, text, sizeof text, MSG_DONTWAIT), 2 + 50001);
    fixture_ask(client, "half", "");
    close(client);
    assert_true(fixture_run());
    assert_int_equal(fixture.memory.held, 0);
}

static void over_the_mark_one_half_at_a_time_is_read(void **state)
{
    (void) state;
    enum { CLIENTS = 5 };
    int clients[CLIENTS], quick;
    struct session *sessions[CLIENTS];
    bound_memory(10 * HALF, HALF / 2);
    fixture_session(&quick);
    for (int i = 0; i < CLIENTS; i++) {
        sessions[i] = fixture_session(&clients[i]);
        assert_int_equal(send_half(clients[i]), HALF);
        run();
    }
    size_t read = buffer_size(&sessions[0]->active->input);
    assert_int_equal(read, HALF);
    assert_true(sessions[0]->active->chosen);
    for (int i = 1; i < CLIENTS; i++) {
        assert_true(sessions[i]->active->barred);
        assert_false(input_wants_bytes(sessions[i]));
        assert_true(buffer_size(&sessions[i]->active->input) < HALF);
    }
    fixture_ask(quick, "quick\nha", "quick\n"); /* they do not pay for it */
    fixture_ask(quick, "lf\n", "half\n");
    for (int i = 0; i < CLIENTS; i++) {
        fixture_say(clients[i], "\n");
        run();
    }
    for (int i = 0; i < CLIENTS; i++) {
        fixture_expect(clients[i], "long\n");
        close(clients[i]);
    }
    assert_int_equal(fixture.memory.held, 0);
    close(quick);
}

static void only_the_time_of_the_chosen_one_runs(void **state)
{
    (void) state;
    int first, second;
    bound_memory(10 * HALF, HALF / 2);
    fixture_config()->request_timeout_ms = 1000;
    fixture_session(&first);
    send_half(first);
    run();
    struct session *session = fixture_session(&second);
    send_half(second);
    run();
    fixture_pass_ms(1001);
    run();
    fixture_expect_end(first, "-ERR incomplete it did not come in time\n");
    assert_true(session->active->chosen);
    assert_true(session->active->partial_deadline_ms < CLOCK_NEVER);
    fixture_say(second, "\n");
    run();
    fixture_expect(second, "long\n");
    close(first);
    close(second);
}

static void over_the_bound_nobody_else_is_read(void **state)
{
    (void) state;
    int large, quick;
    bound_memory(HALF, HALF / 2);
    fixture_session(&quick);
    fixture_session(&large);
    fixture_ask(large, "hold\n", "");
    fixture_ask(large, "big 200000\n", "");
    fixture_say(quick, "quick\n");
    run();
    fixture_expect(quick, "");
    fixture_answer(0, "x");
    run();
    fixture_expect(quick, "quick\n");
    close(large);
    close(quick);
}

static void at_the_stop_all_is_read(void **state)
{
    (void) state;
    int clients[3];
    bound_memory(10 * HALF, HALF / 2);
    for (int i = 0; i < 3; i++) {
        fixture_session(&clients[i]);
        send_half(clients[i]);
        run();
        fixture_say(clients[i], "\n");
    }
    size_t place = 0;
    fixture.shard.draining = true;
    for (struct session *session; (session = store_next(&fixture.shard.store, &place));)
        turn_drain(session, &fixture.scratch);
    run();
    for (int i = 0; i < 3; i++) {
        fixture_expect_end(clients[i], "long\n-ERR stopping the server is stopping\n");
        close(clients[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_leave_room),
        cmocka_unit_test(levels_are_left_a_step_below_them),
        cmocka_unit_test(nobody_is_asked_again_if_nobody_waits),
        cmocka_unit_test(one_is_chosen),
        cmocka_unit_test(without_a_bound_it_is_free),
        FIXTURE_TEST(what_sessions_hold_is_counted),
        FIXTURE_TEST(over_the_mark_one_half_at_a_time_is_read),
        FIXTURE_TEST(only_the_time_of_the_chosen_one_runs),
        FIXTURE_TEST(over_the_bound_nobody_else_is_read),
        FIXTURE_TEST(at_the_stop_all_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
