/*
 * test_nats_shards: which of a service's shards are asked, at times that the test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/nats/shards.h"

enum { SHARDS = 4, START_MS = 1000000 };

static struct shards shards;
static struct chance chance;
static int64_t again_ms;

static int set_up(void **state)
{
    (void) state;
    chance = (struct chance){.state = 42};
    return shards_init(&shards, SHARDS) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void) state;
    shards_fini(&shards);
    return 0;
}

/* Which ones are chosen in many tries, a bit for each. */
static unsigned chosen(int64_t now_ms)
{
    unsigned seen = 0, shard;
    for (unsigned i = 0; i < 100; i++)
        if (shards_choose(&shards, &chance, now_ms, &shard, &again_ms))
            seen |= 1U << shard;
    return seen;
}

/* ---- which one ---- */

static void each_is_chosen(void **state)
{
    (void) state;
    assert_int_equal(chosen(START_MS), 0xf);
}

static void one_that_is_empty_is_left_out_for_a_while(void **state)
{
    (void) state;
    static const struct {
        int64_t in_ms;
        unsigned chosen;
    } table[] = {
        {0, 0xb},
        {SHARDS_EMPTY_MS - 1, 0xb},
        {SHARDS_EMPTY_MS, 0xf},
    };
    bool news;
    assert_false(shards_empty(&shards, 2, START_MS, START_MS, &news));
    assert_false(news);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(chosen(START_MS + table[i].in_ms), table[i].chosen);
}

static void one_that_is_served_again_is_chosen_at_once(void **state)
{
    (void) state;
    bool news;
    shards_empty(&shards, 2, START_MS, START_MS, &news);
    assert_false(shards_served(&shards, 2, START_MS));
    assert_int_equal(chosen(START_MS), 0xf);
}

static void if_all_are_empty_the_first_to_be_asked_again_is_known(void **state)
{
    (void) state;
    bool news;
    for (unsigned i = 0; i < SHARDS; i++)
        assert_false(shards_empty(&shards, i, START_MS, START_MS + 10 - i, &news));
    assert_int_equal(chosen(START_MS + 10), 0);
    assert_int_equal(again_ms, START_MS + 10 - (SHARDS - 1) + SHARDS_EMPTY_MS);
    assert_int_equal(chosen(again_ms), 1U << (SHARDS - 1));
}

/* ---- whether the service is down ---- */

static void it_is_down_if_that_was_so_for_long_enough(void **state)
{
    (void) state;
    static const struct {
        int64_t served_ms; /* when somebody was there; 0: never */
        int64_t since_ms;  /* since when a request hears of nobody */
        int64_t now_ms;
        bool down;
    } table[] = {
        {0, START_MS, START_MS, false},
        {0, START_MS, START_MS + SHARDS_DOWN_MS - 1, false},
        {0, START_MS, START_MS + SHARDS_DOWN_MS, true},
        {START_MS - 1, START_MS, START_MS + SHARDS_DOWN_MS, true},
        {START_MS, START_MS, START_MS + SHARDS_DOWN_MS, false},
        {START_MS + 100, START_MS, START_MS + SHARDS_DOWN_MS, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        bool news;
        shards_fini(&shards);
        assert_true(shards_init(&shards, SHARDS));
        if (table[i].served_ms)
            shards_served(&shards, 0, table[i].served_ms);
        bool down = shards_empty(&shards, 1, table[i].since_ms, table[i].now_ms, &news);
        if (down != table[i].down || news != table[i].down || shards.is_down != table[i].down)
            fail_msg("row %zu: %d, %d", i, down, news);
    }
}

static void go_down(int64_t now_ms)
{
    bool news;
    assert_true(shards_empty(&shards, 0, now_ms - SHARDS_DOWN_MS, now_ms, &news));
}

static void that_it_is_down_is_news_once(void **state)
{
    (void) state;
    bool news;
    go_down(START_MS);
    assert_true(shards_empty(&shards, 1, START_MS, START_MS, &news));
    assert_false(news);
    assert_true(shards_served(&shards, 1, START_MS));
    assert_false(shards_served(&shards, 1, START_MS));
}

static void one_that_is_down_is_probed(void **state)
{
    (void) state;
    static const struct {
        int64_t in_ms;
        bool admitted;
    } table[] = {
        {0, false},
        {SHARDS_EMPTY_MS - 1, false},
        {SHARDS_EMPTY_MS, true},
        {SHARDS_EMPTY_MS, false},
        {2 * SHARDS_EMPTY_MS - 1, false},
        {2 * SHARDS_EMPTY_MS + 7, true},
        {3 * SHARDS_EMPTY_MS, false},
        {3 * SHARDS_EMPTY_MS + 7, true},
    };
    go_down(START_MS);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (shards_admit(&shards, START_MS + table[i].in_ms) != table[i].admitted)
            fail_msg("row %zu", i);
    shards_served(&shards, 3, START_MS);
    assert_true(shards_admit(&shards, START_MS));
    assert_true(shards_admit(&shards, START_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_is_chosen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_empty_is_left_out_for_a_while, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_served_again_is_chosen_at_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(if_all_are_empty_the_first_to_be_asked_again_is_known,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_down_if_that_was_so_for_long_enough, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(that_it_is_down_is_news_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_down_is_probed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
