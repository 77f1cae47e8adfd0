/* moves: when a loop stands still, as others see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "common/counter.h"
#include "server/session/shard.h"

enum { BEGIN_MS = 5000, OWNER = 17 };

static struct shard shard;

static int set_up(void **state)
{
    (void) state;
    shard = (struct shard){0};
    if (!loop_init(&shard.loop))
        return -1;
    shard.loop.owner_tid = OWNER;
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    loop_fini(&shard.loop);
    return 0;
}

/* Whether the owner would have ended its wait since the last call. */
static bool was_woken(void)
{
    eventfd_t count;
    return eventfd_read(shard.loop.wake_fd, &count) == 0;
}

static void one_that_answers_moves(void **state)
{
    (void) state;
    for (int64_t now_ms = BEGIN_MS; now_ms < 20 * BEGIN_MS; now_ms += BEGIN_MS) {
        assert_true(shard_moves(&shard, now_ms));
        assert_true(was_woken());
        counter_add(&shard.counters.batches, 1);
    }
}

static void one_that_does_not_is_stuck_when_its_time_is_over(void **state)
{
    (void) state;
    assert_true(shard_moves(&shard, BEGIN_MS));
    assert_true(was_woken());
    assert_true(shard_moves(&shard, BEGIN_MS + SHARD_STUCK_MS - 1));
    assert_false(shard_moves(&shard, BEGIN_MS + SHARD_STUCK_MS));
    assert_false(shard_moves(&shard, BEGIN_MS + 10 * SHARD_STUCK_MS));
    assert_false(was_woken());
    counter_add(&shard.counters.batches, 1);
    assert_true(shard_moves(&shard, BEGIN_MS + 11 * SHARD_STUCK_MS));
}

/* Each of these is seen to have happened just before it would be too late. */
static void batches_and_requests_are_moves(void **state)
{
    (void) state;
    struct counter *moves[] = {&shard.counters.batches, &shard.loop.served};
    int64_t now_ms = BEGIN_MS;
    assert_true(shard_moves(&shard, now_ms));
    for (int i = 0; i < 10; i++) {
        now_ms += SHARD_STUCK_MS;
        counter_add(moves[i % 2], 1);
        assert_true(shard_moves(&shard, now_ms));
    }
    assert_false(shard_moves(&shard, now_ms + SHARD_STUCK_MS));
}

/* Before it runs, and when it has drained. */
static void one_without_an_owner_does_not_stand_still(void **state)
{
    (void) state;
    shard.loop.owner_tid = 0;
    assert_true(shard_moves(&shard, BEGIN_MS));
    assert_true(shard_moves(&shard, 2 * BEGIN_MS));
    shard.loop.owner_tid = OWNER;
    assert_true(shard_moves(&shard, 3 * BEGIN_MS));
    assert_false(shard_moves(&shard, 4 * BEGIN_MS));
    shard.loop.owner_tid = 0;
    assert_true(shard_moves(&shard, 5 * BEGIN_MS));
}

#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(one_that_answers_moves),
        LOOP_TEST(one_that_does_not_is_stuck_when_its_time_is_over),
        LOOP_TEST(batches_and_requests_are_moves),
        LOOP_TEST(one_without_an_owner_does_not_stand_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
