/* admin: calls, descriptors, times, and items that end in each other's callbacks. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/admin/admin.h"

/* What items have done, a letter for each; read by the test when `done` comes out of the pipe. */
struct story {
    char text[40];
    int done[2];
};

struct actor {
    struct admin_item item; /* first */
    struct story *story;
    struct actor *other;
    char letter;
    int pipe[2];
};

static void tell(struct actor *actor)
{
    char text[] = {actor->letter, '\0'};
    strcat(actor->story->text, text);
}

static void end_story(struct actor *actor)
{
    assert_int_equal(write(actor->story->done[1], "", 1), 1);
}

static void wait_for_end(const struct story *story)
{
    char byte;
    assert_int_equal(read(story->done[0], &byte, 1), 1);
}

static int set_up(void **state)
{
    *state = admin_open();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    admin_close(*state);
    return 0;
}

static struct story new_story(void)
{
    struct story story = {0};
    assert_int_equal(pipe(story.done), 0);
    return story;
}

static void close_story(const struct story *story)
{
    close(story->done[0]);
    close(story->done[1]);
}

/* ---- calls ---- */

static void note_thread(struct admin *admin, void *context)
{
    (void) admin;
    *(pthread_t *) context = pthread_self();
}

static void calls_return_from_one_other_thread(void **state)
{
    pthread_t first, second;
    assert_true(admin_call(*state, note_thread, &first));
    assert_true(admin_call(*state, note_thread, &second));
    assert_true(pthread_equal(first, second));
    assert_false(pthread_equal(first, pthread_self()));
}

static void one_that_nobody_calls_has_no_thread_to_end(void **state) { (void) state; }

/* ---- times ---- */

static void tell_due(struct admin_item *item) { tell((struct actor *) item); }

static void end_due(struct admin_item *item)
{
    tell_due(item);
    end_story((struct actor *) item);
}

static void begin_times(struct admin *admin, void *context)
{
    struct actor *actors = context;
    int64_t now_ms = admin_now_ms(admin);
    admin_due_at(admin, &actors[0].item, now_ms + 40);
    admin_due_at(admin, &actors[1].item, now_ms + 20);
    admin_due_at(admin, &actors[2].item, now_ms + 10);
    admin_due_at(admin, &actors[3].item, now_ms);
    admin_due_at(admin, &actors[2].item, CLOCK_NEVER);
    admin_due_at(admin, &actors[1].item, now_ms + 30);
    admin_forget(&actors[3].item);
}

static void what_is_due_comes_in_the_order_of_its_times(void **state)
{
    struct story story = new_story();
    struct actor actors[4] = {
        {.item.due = end_due, .story = &story, .letter = 'a'},
        {.item.due = tell_due, .story = &story, .letter = 'b'},
        {.item.due = tell_due, .story = &story, .letter = 'c'},
        {.item.due = tell_due, .story = &story, .letter = 'd'},
    };
    assert_true(admin_call(*state, begin_times, actors));
    wait_for_end(&story);
    assert_string_equal(story.text, "ba");
    close_story(&story);
}

/* ---- descriptors ---- */

static void read_ready(struct admin_item *item, uint32_t events)
{
    struct actor *actor = (struct actor *) item;
    char byte;
    assert_true(events & EPOLLIN);
    assert_int_equal(read(actor->pipe[0], &byte, 1), 1);
    tell(actor);
    if (byte == '!')
        end_story(actor);
}

static void watch_pipe(struct admin *admin, void *context)
{
    struct actor *actor = context;
    assert_true(admin_watch(admin, &actor->item, actor->pipe[0], EPOLLIN));
}

static void forget(struct admin *admin, void *context)
{
    (void) admin;
    admin_forget(&((struct actor *) context)->item);
}

static void a_descriptor_is_reported_as_long_as_it_is_ready(void **state)
{
    struct story story = new_story();
    struct actor actor = {.item.ready = read_ready, .story = &story, .letter = 'r'};
    assert_int_equal(pipe(actor.pipe), 0);
    assert_int_equal(write(actor.pipe[1], "xx!", 3), 3);
    assert_true(admin_call(*state, watch_pipe, &actor));
    wait_for_end(&story);
    assert_string_equal(story.text, "rrr");
    assert_true(admin_call(*state, forget, &actor));
    close(actor.pipe[0]);
    close(actor.pipe[1]);
    close_story(&story);
}

/* Two pipes are at their ends at once, and whoever is called first frees the other. */
static void end_both(struct admin_item *item, uint32_t events)
{
    struct actor *actor = (struct actor *) item;
    struct actor *other = actor->other;
    struct story *story = actor->story;
    assert_true(events & EPOLLHUP);
    tell(actor);
    admin_forget(&actor->item);
    admin_forget(&other->item);
    close(actor->pipe[0]);
    close(other->pipe[0]);
    memset(actor, 0xff, sizeof *actor);
    memset(other, 0xff, sizeof *other);
    free(actor);
    free(other);
    assert_int_equal(write(story->done[1], "", 1), 1);
}

static struct actor *new_ended(struct story *story)
{
    struct actor *actor = calloc(1, sizeof *actor);
    assert_non_null(actor);
    *actor = (struct actor){.item.ready = end_both, .story = story, .letter = 'e'};
    assert_int_equal(pipe(actor->pipe), 0);
    close(actor->pipe[1]);
    return actor;
}

static void watch_both(struct admin *admin, void *context)
{
    struct actor *actor = context;
    watch_pipe(admin, actor);
    watch_pipe(admin, actor->other);
}

static void an_item_may_end_others_that_are_ready_too(void **state)
{
    struct story story = new_story();
    struct actor *one = new_ended(&story), *other = new_ended(&story);
    one->other = other;
    other->other = one;
    assert_true(admin_call(*state, watch_both, one));
    wait_for_end(&story);
    assert_string_equal(story.text, "e");
    close_story(&story);
}

/* ---- both ---- */

/* Its descriptor stays ready for ever, and yet what is due comes. */
static void stay_ready(struct admin_item *item, uint32_t events) { (void) item, (void) events; }

static void begin_both(struct admin *admin, void *context)
{
    struct actor *actor = context;
    watch_pipe(admin, actor);
    admin_due_at(admin, &actor->item, admin_now_ms(admin) + 1);
}

static void times_come_though_something_is_always_ready(void **state)
{
    struct story story = new_story();
    struct actor actor = {
        .item = {.ready = stay_ready, .due = end_due}, .story = &story, .letter = 'd'};
    assert_int_equal(pipe(actor.pipe), 0);
    close(actor.pipe[1]);
    assert_true(admin_call(*state, begin_both, &actor));
    wait_for_end(&story);
    assert_true(admin_call(*state, forget, &actor));
    assert_string_equal(story.text, "d");
    close(actor.pipe[0]);
    close_story(&story);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_return_from_one_other_thread),
        TEST(one_that_nobody_calls_has_no_thread_to_end),
        TEST(what_is_due_comes_in_the_order_of_its_times),
        TEST(a_descriptor_is_reported_as_long_as_it_is_ready),
        TEST(an_item_may_end_others_that_are_ready_too),
        TEST(times_come_though_something_is_always_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
