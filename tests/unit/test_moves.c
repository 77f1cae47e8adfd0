/* moves: when a loop stands still, as others see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/counter.h"
#include "server/session/shard.h"

enum { BEGIN_MS = 5000, JUST_BEFORE_MS = BEGIN_MS + SHARD_STUCK_MS - 1 };

static struct shard shard;

static int set_up(void **state)
{
    (void) state;
    shard = (struct shard){0};
    return 0;
}

static void one_that_waits_moves(void **state)
{
    (void) state;
    for (int64_t now_ms = BEGIN_MS; now_ms < 100 * BEGIN_MS; now_ms += BEGIN_MS)
        assert_true(shard_moves(&shard, now_ms));
}

static void one_that_stays_in_a_batch_does_not(void **state)
{
    (void) state;
    shard.loop.is_in_batch = true;
    assert_true(shard_moves(&shard, BEGIN_MS));
    assert_true(shard_moves(&shard, JUST_BEFORE_MS));
    assert_false(shard_moves(&shard, JUST_BEFORE_MS + 1));
    assert_false(shard_moves(&shard, 2 * JUST_BEFORE_MS));
    shard.loop.is_in_batch = false;
    assert_true(shard_moves(&shard, 2 * JUST_BEFORE_MS + 1));
}

/* Each of these is seen to have happened just before it would be too late. */
static void batches_and_requests_are_moves(void **state)
{
    (void) state;
    struct counter *moves[] = {&shard.counters.batches, &shard.loop.served};
    int64_t now_ms = BEGIN_MS;
    shard.loop.is_in_batch = true;
    assert_true(shard_moves(&shard, now_ms));
    for (int i = 0; i < 10; i++) {
        now_ms += SHARD_STUCK_MS;
        counter_add(moves[i % 2], 1);
        assert_true(shard_moves(&shard, now_ms));
    }
    assert_false(shard_moves(&shard, now_ms + SHARD_STUCK_MS));
}

/* However late the first question comes: what was before is not known. */
static void it_has_to_be_seen_twice(void **state)
{
    (void) state;
    shard.loop.is_in_batch = true;
    assert_true(shard_moves(&shard, 1000 * BEGIN_MS));
    assert_false(shard_moves(&shard, 1000 * BEGIN_MS + SHARD_STUCK_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_that_waits_moves, set_up),
        cmocka_unit_test_setup(one_that_stays_in_a_batch_does_not, set_up),
        cmocka_unit_test_setup(batches_and_requests_are_moves, set_up),
        cmocka_unit_test_setup(it_has_to_be_seen_twice, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
