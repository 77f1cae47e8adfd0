/* session_store: sessions of more than one block, taken and given back in every order; and work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/engine/loop.h"
#include "server/session/session.h"
#include "server/session/store.h"

enum { MANY = 10000 }; /* several blocks */

static struct loop loop; /* its address is all that matters */

static void take_many(struct session_store *store, struct session **sessions)
{
    for (int i = 0; i < MANY; i++) {
        sessions[i] = session_store_take(store, &loop);
        assert_non_null(sessions[i]);
        sessions[i]->fd = i;
    }
}

static size_t blocks_held(const struct session_store *store)
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

static void sessions_are_apart_and_know_their_loop(void **state)
{
    (void) state;
    struct session_store store = {0};
    struct session **sessions = calloc(MANY, sizeof *sessions);
    take_many(&store, sessions);
    assert_int_equal(store.count, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(sessions[i]->fd, i);
        assert_ptr_equal(session_loop(sessions[i]), &loop);
    }
    for (int i = 0; i < MANY; i++)
        session_store_put(&store, sessions[i]);
    session_store_fini(&store);
    free(sessions);
}

static void a_session_is_taken_all_zero(void **state)
{
    (void) state;
    static const struct session zero;
    struct session_store store = {0};
    struct session *session = session_store_take(&store, &loop);
    memset(session, 0xff, sizeof *session);
    session_store_put(&store, session);
    session = session_store_take(&store, &loop);
    assert_memory_equal(session, &zero, sizeof zero);
    session_store_put(&store, session);
    session_store_fini(&store);
}

static void next_meets_each_that_is_not_closed_once(void **state)
{
    (void) state;
    struct session_store store = {0};
    struct session **sessions = calloc(MANY, sizeof *sessions);
    bool *met = calloc(MANY, sizeof *met);
    take_many(&store, sessions);
    for (int i = 0; i < MANY; i++) {
        if (i % 3 == 0)
            session_store_put(&store, sessions[i]);
        else
            sessions[i]->closed = i % 3 == 1;
    }
    size_t place = 0;
    for (struct session *session; (session = session_store_next(&store, &place));) {
        assert_false(met[session->fd]);
        met[session->fd] = true;
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(met[i], i % 3 == 2);
    for (int i = 0; i < MANY; i++)
        if (i % 3 != 0)
            session_store_put(&store, sessions[i]);
    session_store_fini(&store);
    free(sessions);
    free(met);
}

static void blocks_go_when_their_sessions_have_gone(void **state)
{
    (void) state;
    struct session_store store = {0};
    struct session **sessions = calloc(MANY, sizeof *sessions);
    take_many(&store, sessions);
    size_t most = blocks_held(&store);
    assert_true(most > 2);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++)
            session_store_put(&store, sessions[(i * 7919) % MANY]);
        assert_int_equal(store.count, 0);
        assert_int_equal(blocks_held(&store), 1); /* kept for the next one */
        take_many(&store, sessions);
        assert_int_equal(blocks_held(&store), most);
    }
    for (int i = 0; i < MANY; i++)
        session_store_put(&store, sessions[i]);
    session_store_fini(&store);
    free(sessions);
}

/* Who comes where others have left takes their place, not new memory. */
static void gaps_are_filled_first(void **state)
{
    (void) state;
    struct session_store store = {0};
    struct session **sessions = calloc(MANY, sizeof *sessions);
    take_many(&store, sessions);
    struct session *gap = sessions[17];
    session_store_put(&store, gap);
    sessions[17] = session_store_take(&store, &loop);
    assert_ptr_equal(sessions[17], gap);
    for (int i = 0; i < MANY; i++)
        session_store_put(&store, sessions[i]);
    session_store_fini(&store);
    free(sessions);
}

static void work_comes_clean_and_is_used_again(void **state)
{
    (void) state;
    static const struct session_active zero;
    struct session_store store = {0};
    struct session_active *works[200];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 200; i++) {
            works[i] = session_store_lend(&store);
            assert_memory_equal(works[i], &zero, sizeof zero);
            works[i]->pending = 7;
        }
        for (int i = 0; i < 200; i++)
            session_store_return(&store, works[i]);
        assert_true(store.work_count > 0 && store.work_count < 200);
    }
    session_store_fini(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_session_is_small),
        cmocka_unit_test(sessions_are_apart_and_know_their_loop),
        cmocka_unit_test(a_session_is_taken_all_zero),
        cmocka_unit_test(next_meets_each_that_is_not_closed_once),
        cmocka_unit_test(blocks_go_when_their_sessions_have_gone),
        cmocka_unit_test(gaps_are_filled_first),
        cmocka_unit_test(work_comes_clean_and_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
