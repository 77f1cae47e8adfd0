/* test_linger: sessions that are being closed are counted, and make room when descriptors are
 * needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/session/linger.h"
#include "tests/unit/shard_fixture.h"

enum { COUNT = 4 };

static int clients[COUNT];
static struct session *sessions[COUNT];

static void open_sessions(void)
{
    for (int i = 0; i < COUNT; i++)
        sessions[i] = fixture_session(&clients[i]);
}

static void close_clients(void)
{
    for (int i = 0; i < COUNT; i++)
        close(clients[i]);
}

static void assert_lingering(unsigned count)
{
    assert_int_equal(linger_count(&fixture.shard.linger), count);
    assert_int_equal(fixture.admission.lingering, count);
}

/* ---- the list ---- */

static void the_oldest_is_the_first_that_was_added_and_is_there(void **state)
{
    (void) state;
    static struct linger_list list;
    struct session *ids = calloc(LINGER_MAX, sizeof *ids);
    assert_null(linger_oldest(&list));
    for (int i = 0; i < LINGER_MAX; i++)
        linger_add(&list, &ids[i]);
    linger_remove(&list, &ids[1]);
    linger_remove(&list, &ids[LINGER_MAX - 1]);
    assert_int_equal(linger_count(&list), LINGER_MAX - 2);
    assert_ptr_equal(linger_oldest(&list), &ids[0]);
    linger_remove(&list, &ids[0]);
    for (int i = 2; i < LINGER_MAX - 1; i++) {
        assert_ptr_equal(linger_oldest(&list), &ids[i]);
        linger_remove(&list, &ids[i]);
    }
    assert_null(linger_oldest(&list));
    free(ids);
}

/* ---- sessions ---- */

static void those_that_linger_are_counted_and_no_clients(void **state)
{
    (void) state;
    open_sessions();
    fixture_ask(clients[0], "--QUIT--\n", "");
    assert_true(sessions[0]->closing);
    assert_lingering(1);
    assert_int_equal(fixture.admission.clients, COUNT - 1);
    close(clients[0]); /* it has seen the end */
    assert_true(fixture_run());
    assert_lingering(0);
    assert_true(sessions[0]->closed);
    clients[0] = dup(clients[1]);
    close_clients();
}

static void the_oldest_makes_room_and_no_more_than_needed(void **state)
{
    (void) state;
    open_sessions();
    for (int i = 0; i < 3; i++)
        fixture_ask(clients[i], "--QUIT--\n", "");
    close_lingering(&fixture.shard);
    assert_lingering(3); /* there is room */
    fixture.admission.max_sockets = 2;
    assert_true(admission_is_crowded(&fixture.admission));
    close_lingering(&fixture.shard);
    assert_false(admission_is_crowded(&fixture.admission));
    assert_lingering(1);
    assert_true(sessions[0]->closed && sessions[1]->closed && !sessions[2]->closed);
    fixture.admission.max_sockets = 0;
    close_lingering(&fixture.shard);
    assert_lingering(0);
    assert_false(sessions[3]->closed); /* a client is not closed for that */
    close_clients();
}

/* At other times the oldest one makes room, and loses what it has not read. */
static void at_a_stop_all_linger(void **state)
{
    (void) state;
    static int ends[LINGER_MAX + 2];
    enum { ALL = sizeof ends / sizeof *ends };
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max; /* two for each session */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    fixture.admission.max_clients = ALL;
    fixture.admission.max_sockets = 2 * ALL;
    for (int i = 0; i < ALL; i++)
        fixture_session(&ends[i]);
    fixture.shard.draining = true;
    size_t place = 0;
    for (struct session *session; (session = store_next(&fixture.shard.store, &place));)
        turn_drain(session, &fixture.scratch);
    assert_int_equal(fixture.shard.store.count, ALL);
    assert_int_equal(linger_count(&fixture.shard.linger), LINGER_MAX);
    for (int i = 0; i < ALL; i++) {
        fixture_expect_end(ends[i], "-ERR stopping the server is stopping\n");
        close(ends[i]);
    }
    assert_true(fixture_run());
    shard_free_dead(&fixture.shard);
    assert_int_equal(fixture.shard.store.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_is_the_first_that_was_added_and_is_there),
        FIXTURE_TEST(those_that_linger_are_counted_and_no_clients),
        FIXTURE_TEST(the_oldest_makes_room_and_no_more_than_needed),
        FIXTURE_TEST(at_a_stop_all_linger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
