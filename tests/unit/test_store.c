/* store: sessions of more than one block, taken and given back in every order; and what is lent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/session/shard.h"
#include "server/session/state.h"
#include "server/session/store.h"

enum { MANY = 10000 }; /* several blocks */

static struct shard shard; /* its address is all that matters */

static void take_many(struct store *store, struct session **sessions)
{
    for (int i = 0; i < MANY; i++) {
        sessions[i] = store_take(store, &shard);
        assert_non_null(sessions[i]);
        sessions[i]->fd = i;
    }
}

static size_t blocks_held(const struct store *store)
{
    size_t held = 0;
    for (size_t i = 0; i < store->block_count; i++)
        held += store->blocks[i] != NULL;
    return held;
}

static void an_idle_session_is_small(void **state)
{
    (void) state;
    assert_true(sizeof(struct session) <= 48);
}

static void sessions_are_apart_and_know_their_shard(void **state)
{
    (void) state;
    struct store store = {0};
    struct session **sessions = calloc(MANY, sizeof *sessions);
    take_many(&store, sessions);
    assert_int_equal(store.count, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(sessions[i]->fd, i);
        assert_ptr_equal(session_shard(sessions[i]), &shard);
    }
    for (int i = 0; i < MANY; i++)
        store_put(&store, sessions[i]);
    store_fini(&store);
    free(sessions);
}

static void beginnings_are_kept_if_they_are_wanted(void **state)
{
    (void) state;
    struct store store = {.keeps_since = true}, other = {0};
    struct session **sessions = calloc(MANY, sizeof *sessions);
    take_many(&store, sessions);
    for (uint32_t i = 0; i < MANY; i++)
        *store_since(sessions[i]) = i;
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(*store_since(sessions[i]), i);
    for (int i = 0; i < MANY; i++)
        store_put(&store, sessions[i]);
    struct session *session = store_take(&other, &shard);
    assert_null(store_since(session));
    store_put(&other, session);
    store_fini(&store);
    store_fini(&other);
    free(sessions);
}

static void a_session_is_taken_all_zero(void **state)
{
    (void) state;
    static const struct session zero;
    struct store store = {0};
    struct session *session = store_take(&store, &shard);
    memset(session, 0xff, sizeof *session);
    store_put(&store, session);
    session = store_take(&store, &shard);
    assert_memory_equal(session, &zero, sizeof zero);
    store_put(&store, session);
    store_fini(&store);
}

static void next_meets_each_that_is_not_closed_once(void **state)
{
    (void) state;
    struct store store = {0};
    struct session **sessions = calloc(MANY, sizeof *sessions);
    bool *met = calloc(MANY, sizeof *met);
    take_many(&store, sessions);
    for (int i = 0; i < MANY; i++) {
        if (i % 3 == 0)
            store_put(&store, sessions[i]);
        else
            sessions[i]->closed = i % 3 == 1;
    }
    size_t place = 0;
    for (struct session *session; (session = store_next(&store, &place));) {
        assert_false(met[session->fd]);
        met[session->fd] = true;
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(met[i], i % 3 == 2);
    for (int i = 0; i < MANY; i++)
        if (i % 3 != 0)
            store_put(&store, sessions[i]);
    store_fini(&store);
    free(sessions);
    free(met);
}

static void blocks_go_when_their_sessions_have_gone(void **state)
{
    (void) state;
    struct store store = {0};
    struct session **sessions = calloc(MANY, sizeof *sessions);
    take_many(&store, sessions);
    size_t most = blocks_held(&store);
    assert_true(most > 2);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++)
            store_put(&store, sessions[(i * 7919) % MANY]);
        assert_int_equal(store.count, 0);
        assert_int_equal(blocks_held(&store), 1); /* kept for the next one */
        take_many(&store, sessions);
        assert_int_equal(blocks_held(&store), most);
    }
    for (int i = 0; i < MANY; i++)
        store_put(&store, sessions[i]);
    store_fini(&store);
    free(sessions);
}

/* Who comes where others have left takes their place, not new memory. */
static void gaps_are_filled_first(void **state)
{
    (void) state;
    struct store store = {0};
    struct session **sessions = calloc(MANY, sizeof *sessions);
    take_many(&store, sessions);
    struct session *gap = sessions[17];
    store_put(&store, gap);
    sessions[17] = store_take(&store, &shard);
    assert_ptr_equal(sessions[17], gap);
    for (int i = 0; i < MANY; i++)
        store_put(&store, sessions[i]);
    store_fini(&store);
    free(sessions);
}

static void what_is_lent_comes_clean_and_is_used_again(void **state)
{
    (void) state;
    static const struct session_active zero;
    struct store store = {0};
    struct session_active *lent[200];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 200; i++) {
            lent[i] = store_lend(&store);
            assert_memory_equal(lent[i], &zero, sizeof zero);
            lent[i]->pending = 7;
        }
        for (int i = 0; i < 200; i++)
            store_return(&store, lent[i]);
        assert_true(store.spare_count > 0 && store.spare_count < 200);
    }
    store_fini(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_session_is_small),
        cmocka_unit_test(sessions_are_apart_and_know_their_shard),
        cmocka_unit_test(beginnings_are_kept_if_they_are_wanted),
        cmocka_unit_test(a_session_is_taken_all_zero),
        cmocka_unit_test(next_meets_each_that_is_not_closed_once),
        cmocka_unit_test(blocks_go_when_their_sessions_have_gone),
        cmocka_unit_test(gaps_are_filled_first),
        cmocka_unit_test(what_is_lent_comes_clean_and_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
