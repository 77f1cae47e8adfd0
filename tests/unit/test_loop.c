/* loop: passes over what is ready, the inbox's wake-up, tags, and who wins a call. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/engine/loop.h"

static int set_up(void **state)
{
    static struct loop loop;
    loop = (struct loop){0};
    *state = &loop;
    return loop_init(&loop) ? 0 : -1;
}

static int tear_down(void **state)
{
    loop_fini(*state);
    return 0;
}

/* ---- what is ready ---- */

static void a_pass_gives_those_that_are_ready_in_their_order(void **state)
{
    struct loop *loop = *state;
    struct loop_item items[3] = {0};
    for (int i = 0; i < 3; i++)
        loop_ready(loop, &items[i]);
    loop_ready(loop, &items[0]); /* once is enough */
    loop_begin_pass(loop);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(loop_next_ready(loop), &items[i]);
        assert_false(items[i].is_ready);
    }
    assert_null(loop_next_ready(loop));
    loop_begin_pass(loop);
    assert_null(loop_next_ready(loop));
}

static void nothing_is_given_before_a_pass_has_begun(void **state)
{
    struct loop *loop = *state;
    struct loop_item item = {0};
    loop_ready(loop, &item);
    assert_null(loop_next_ready(loop));
    assert_true(item.is_ready);
}

static void an_item_made_ready_in_a_pass_waits_for_the_next(void **state)
{
    struct loop *loop = *state;
    struct loop_item first = {0}, second = {0}, newcomer = {0};
    loop_ready(loop, &first);
    loop_ready(loop, &second);
    loop_begin_pass(loop);
    assert_ptr_equal(loop_next_ready(loop), &first);
    loop_ready(loop, &newcomer);
    loop_ready(loop, &first); /* again */
    assert_ptr_equal(loop_next_ready(loop), &second);
    assert_null(loop_next_ready(loop));
    loop_begin_pass(loop);
    assert_ptr_equal(loop_next_ready(loop), &newcomer);
    assert_ptr_equal(loop_next_ready(loop), &first);
    assert_null(loop_next_ready(loop));
}

static void the_only_item_of_a_pass_can_be_taken_back(void **state)
{
    struct loop *loop = *state;
    struct loop_item item = {0}, newcomer = {0};
    loop_ready(loop, &item);
    loop_begin_pass(loop);
    loop_ready(loop, &newcomer);
    loop_unready(loop, &item);
    loop_unready(loop, &item); /* not ready: left alone */
    assert_null(loop_next_ready(loop));
    loop_begin_pass(loop);
    assert_ptr_equal(loop_next_ready(loop), &newcomer);
}

static void the_last_item_of_a_pass_can_be_taken_back(void **state)
{
    struct loop *loop = *state;
    struct loop_item items[3] = {0}, newcomer = {0};
    for (int i = 0; i < 3; i++)
        loop_ready(loop, &items[i]);
    loop_begin_pass(loop);
    assert_ptr_equal(loop_next_ready(loop), &items[0]);
    loop_ready(loop, &newcomer);
    loop_unready(loop, &items[2]);
    assert_ptr_equal(loop_next_ready(loop), &items[1]);
    assert_null(loop_next_ready(loop));
    assert_true(newcomer.is_ready);
}

static void an_item_in_the_middle_of_a_pass_can_be_taken_back(void **state)
{
    struct loop *loop = *state;
    struct loop_item items[3] = {0};
    for (int i = 0; i < 3; i++)
        loop_ready(loop, &items[i]);
    loop_begin_pass(loop);
    loop_unready(loop, &items[1]);
    assert_ptr_equal(loop_next_ready(loop), &items[0]);
    assert_ptr_equal(loop_next_ready(loop), &items[2]);
    assert_null(loop_next_ready(loop));
}

/* The loop is taken in the turn of the first one; its new owner closes the last one, which the pass
 * still remembers, and begins a pass itself. */
static void a_pass_that_was_broken_off_goes_on(void **state)
{
    struct loop *loop = *state;
    struct loop_item items[3] = {0}, newcomer = {0};
    for (int i = 0; i < 3; i++)
        loop_ready(loop, &items[i]);
    loop_begin_pass(loop);
    assert_ptr_equal(loop_next_ready(loop), &items[0]);
    loop_unready(loop, &items[2]);
    loop_ready(loop, &newcomer);
    loop_begin_pass(loop);
    assert_ptr_equal(loop_next_ready(loop), &items[1]);
    assert_ptr_equal(loop_next_ready(loop), &newcomer);
    assert_null(loop_next_ready(loop));
}

/* ---- the inbox, and what epoll reports ---- */

static int wait_for_event(struct loop *loop, struct epoll_event *event)
{
    return epoll_wait(loop->epoll_fd, event, 1, 0);
}

static void posting_wakes_the_owner_once(void **state)
{
    struct loop *loop = *state;
    struct inbox_node nodes[3] = {0};
    struct epoll_event event;
    eventfd_t wakes;
    assert_int_equal(wait_for_event(loop, &event), 0);
    for (int i = 0; i < 3; i++)
        loop_post(loop, &nodes[i]);
    assert_int_equal(wait_for_event(loop, &event), 1);
    assert_int_equal(loop_event_source(&event), LOOP_INBOX);
    assert_null(loop_event_object(&event));
    assert_int_equal(eventfd_read(loop->wake_fd, &wakes), 0);
    assert_int_equal(wakes, 1);
}

static void what_was_taken_does_not_wake_the_owner_again(void **state)
{
    struct loop *loop = *state;
    struct inbox_node nodes[2] = {0};
    struct epoll_event event;
    for (int round = 0; round < 2; round++) {
        loop_post(loop, &nodes[0]);
        loop_post(loop, &nodes[1]);
        assert_int_equal(wait_for_event(loop, &event), 1);
        struct inbox_node *node = loop_take_inbox(loop);
        assert_ptr_equal(node, &nodes[0]);
        assert_ptr_equal(node->next, &nodes[1]);
        assert_null(node->next->next);
        assert_int_equal(wait_for_event(loop, &event), 0);
        assert_null(loop_take_inbox(loop));
    }
}

static void an_event_knows_its_source_and_its_object(void **state)
{
    struct loop *loop = *state;
    static const enum loop_source sources[] = {LOOP_LISTENER, LOOP_SESSION};
    static _Alignas(8) char objects[2][8];
    for (int i = 0; i < 2; i++) {
        struct epoll_event event;
        int fd = eventfd(1, EFD_CLOEXEC);
        assert_true(fd >= 0);
        assert_true(loop_watch(loop, EPOLL_CTL_ADD, fd, EPOLLIN, sources[i], objects[i]));
        assert_int_equal(wait_for_event(loop, &event), 1);
        assert_int_equal(loop_event_source(&event), sources[i]);
        assert_ptr_equal(loop_event_object(&event), objects[i]);
        assert_int_equal(event.events, EPOLLIN);
        assert_true(loop_watch(loop, EPOLL_CTL_MOD, fd, EPOLLOUT, sources[i], objects[i]));
        assert_int_equal(wait_for_event(loop, &event), 1);
        assert_int_equal(event.events, EPOLLOUT);
        loop_unwatch(loop, fd);
        assert_int_equal(wait_for_event(loop, &event), 0);
        close(fd);
    }
}

/* ---- calls ---- */

static void a_call_is_ended_or_taken_but_not_both(void **state)
{
    struct loop *loop = *state;
    uint64_t ended = loop_begin_call(loop);
    assert_true(ended != 0);
    assert_int_equal(loop->call, ended);
    assert_true(loop_end_call(loop, ended));
    assert_int_equal(loop->call, 0);
    assert_false(loop_take(loop, ended));

    uint64_t taken = loop_begin_call(loop);
    assert_true(loop_take(loop, taken));
    assert_false(loop_end_call(loop, taken));
    assert_int_equal(loop->call, 0);
}

static void a_call_that_is_over_does_not_stand_for_a_later_one(void **state)
{
    struct loop *loop = *state;
    uint64_t first = loop_begin_call(loop);
    assert_true(loop_end_call(loop, first));
    uint64_t second = loop_begin_call(loop);
    assert_true(second != first);
    assert_false(loop_take(loop, first));
    assert_int_equal(loop->call, second);
    assert_true(loop_end_call(loop, second));
}

struct race {
    struct loop *loop;
    _Atomic unsigned taken;
    _Atomic bool over;
};

static void *take_calls(void *argument)
{
    struct race *race = argument;
    while (!atomic_load(&race->over)) {
        uint64_t call = atomic_load(&race->loop->call);
        if (call && loop_take(race->loop, call))
            atomic_fetch_add(&race->taken, 1);
        else
            sched_yield();
    }
    return NULL;
}

static void of_two_threads_that_race_for_a_call_one_wins(void **state)
{
    enum { ROUNDS = 20000, SEEN = 50 };
    struct race race = {.loop = *state};
    unsigned ended = 0, lost = 0;
    pthread_t taker;
    assert_int_equal(pthread_create(&taker, NULL, take_calls, &race), 0);
    for (unsigned round = 0; round < ROUNDS || ended < SEEN || lost < SEEN; round++) {
        uint64_t call = loop_begin_call(race.loop);
        if (round % 4 == 0) /* so that the other one has a chance even on one core */
            sched_yield();
        if (loop_end_call(race.loop, call))
            ended++;
        else
            lost++;
    }
    atomic_store(&race.over, true);
    pthread_join(taker, NULL);
    assert_int_equal(race.taken, lost);
    assert_int_equal(race.loop->calls, ended + lost);
    assert_int_equal(race.loop->call, 0);
}

#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(a_pass_gives_those_that_are_ready_in_their_order),
        LOOP_TEST(nothing_is_given_before_a_pass_has_begun),
        LOOP_TEST(an_item_made_ready_in_a_pass_waits_for_the_next),
        LOOP_TEST(the_only_item_of_a_pass_can_be_taken_back),
        LOOP_TEST(the_last_item_of_a_pass_can_be_taken_back),
        LOOP_TEST(an_item_in_the_middle_of_a_pass_can_be_taken_back),
        LOOP_TEST(a_pass_that_was_broken_off_goes_on),
        LOOP_TEST(posting_wakes_the_owner_once),
        LOOP_TEST(what_was_taken_does_not_wake_the_owner_again),
        LOOP_TEST(an_event_knows_its_source_and_its_object),
        LOOP_TEST(a_call_is_ended_or_taken_but_not_both),
        LOOP_TEST(a_call_that_is_over_does_not_stand_for_a_later_one),
        LOOP_TEST(of_two_threads_that_race_for_a_call_one_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
