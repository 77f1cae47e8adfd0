/*
 * test_request: requests of a toy asker that is no session: answered in the call, late, twice, in
 * vain or never; and which of the two ways an answer takes.
 *
 * The test is the loop's owner. What is not given back is the sanitizer's to find.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <cmocka.h>

#include "server/engine/loop.h"
#include "server/request_owner.h"
#include "tests/unit/log_capture.h"

static const char message[] = "question";

/* What the asker was told; a request's context. */
struct asked {
    unsigned answered, returned;
};

static void on_answered(struct request *request)
{
    ((struct asked *) request->context)->answered++;
    assert_true(request->ready);
}

static void on_returned(struct request *request)
{
    ((struct asked *) request->context)->returned++;
}

static const struct asker asker = {.answered = on_answered, .returned = on_returned};

/* ---- set-up ---- */

static struct loop loop;
static struct log_capture capture;
static struct asked asked;
static struct request *request; /* the one of each test; in its call */

static int set_up(void **state)
{
    (void) state;
    loop = (struct loop){0};
    asked = (struct asked){0};
    log_capture_init(&capture);
    request = request_new(NULL, &asker, capture.log);
    if (!loop_init(&loop) || !request)
        return -1;
    request_start(request, &loop, &asked, 7, message, strlen(message));
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    if (capture.log)
        log_capture_read(&capture);
    bool is_empty = !loop_take_inbox(&loop);
    loop_fini(&loop);
    return is_empty ? 0 : -1;
}

/* ---- the test's steps ---- */

/* handle() returns in the loop's owner, and the request is answered later: false, it is already. */
static bool keep_late(void)
{
    bool is_there = request_detach(request);
    request_release(request); /* the call's hold */
    return !is_there;
}

/* The request is held, and its call has returned. */
static void hold(void)
{
    assert_true(request_hold(request));
    assert_int_equal(request_outcome(request), REQUEST_HELD);
    assert_true(keep_late());
}

static void deliver(struct inbox_node *node)
{
    if (node->kind == INBOX_ANSWER)
        request_deliver_answer(node);
    else
        request_deliver_return(node);
}

/* Waits for the inbox, and delivers what is in it. Returns how much that was. */
static unsigned open_inbox(void)
{
    struct epoll_event event;
    unsigned count = 0;
    while (epoll_wait(loop.epoll_fd, &event, 1, -1) != 1)
        continue;
    for (struct inbox_node *node = loop_take_inbox(&loop), *next; node; node = next, count++) {
        next = node->next;
        deliver(node);
    }
    return count;
}

static bool inbox_is_empty(void)
{
    struct epoll_event event;
    return epoll_wait(loop.epoll_fd, &event, 1, 0) == 0;
}

/* The asker takes its answer, and is through with the request. */
static void assert_reply(const char *reply)
{
    assert_int_equal(buffer_size(&request->reply), strlen(reply));
    assert_memory_equal(buffer_head(&request->reply), reply, strlen(reply));
}

static void reply(const char *text) { request_reply(request, text, strlen(text)); }

static unsigned dropped_answers(void)
{
    log_capture_read(&capture);
    return log_capture_count(&capture, "An answer was dropped");
}

/* ---- in the call ---- */

static void an_answer_in_the_call_is_there_when_it_returns(void **state)
{
    (void) state;
    assert_int_equal(request_size(request), strlen(message));
    assert_ptr_equal(request_message(request), message); /* no copy */
    assert_false(request_is_over(request));
    reply("answer");
    assert_true(request_is_over(request));
    assert_int_equal(request_outcome(request), REQUEST_ANSWERED);
    assert_reply("answer");
    assert_true(inbox_is_empty());
    request_free(request);
}

static void an_answer_that_was_built_and_returned_is_there_too(void **state)
{
    (void) state;
    for (int i = 0; i < 2; i++) {
        char *room = request_room(request, 3);
        assert_non_null(room);
        room[0] = 'a';
        room[1] = 'b';
        request_added(request, 2);
    }
    request_reply_and_return(request);
    assert_int_equal(request_outcome(request), REQUEST_ANSWERED);
    assert_reply("abab");
    request_free(request);
}

static void a_call_without_an_answer_or_a_hold_is_forgotten(void **state)
{
    (void) state;
    assert_int_equal(request_outcome(request), REQUEST_FORGOTTEN);
    assert_true(request_hold(request));
    request_release(request);
    assert_int_equal(request_outcome(request), REQUEST_FORGOTTEN);
    request_free(request);
}

static void a_request_can_be_used_for_the_next_call(void **state)
{
    (void) state;
    reply("answer");
    assert_true(request_keep_message(request));
    request_start(request, &loop, &asked, 8, "next", 4);
    assert_int_equal(request_outcome(request), REQUEST_FORGOTTEN);
    assert_false(request_is_over(request));
    assert_memory_equal(request_message(request), "next", 4);
    assert_reply("");
    request_refuse(request, "no", "%d of %s", 1, "them");
    assert_reply("-ERR no 1 of them");
    request_free(request);
}

/* ---- late ---- */

static void *answer_late(void *argument)
{
    request_reply(argument, "late", 4);
    request_release(argument);
    return NULL;
}

static void an_answer_from_another_thread_is_delivered_through_the_inbox(void **state)
{
    (void) state;
    pthread_t thread;
    hold();
    assert_int_equal(pthread_create(&thread, NULL, answer_late, request), 0);
    assert_int_equal(open_inbox(), 1);
    pthread_join(thread, NULL);
    assert_int_equal(asked.answered, 1);
    assert_int_equal(asked.returned, 0);
    assert_reply("late");
    request_unref(request);
}

/* A request of another loop, or of the same one, whose call has returned. */
static struct request *another(struct loop *of)
{
    struct request *other = request_new(NULL, &asker, NULL);
    assert_non_null(other);
    request_start(other, of, &asked, 8, message, strlen(message));
    assert_true(request_hold(other));
    assert_false(request_detach(other));
    request_release(other);
    return other;
}

static void answers_that_are_kept_back_are_delivered_together(void **state)
{
    (void) state;
    enum { OTHERS = 20, LOOPS = 10 };
    struct loop loops[LOOPS] = {0};
    struct request *others[OTHERS];
    hold();
    for (int i = 0; i < LOOPS; i++)
        assert_true(loop_init(&loops[i]));
    for (int i = 0; i < OTHERS; i++)
        others[i] = another(i % 2 ? &loop : &loops[i / 2]);
    request_answers_begin();
    reply("first");
    assert_true(inbox_is_empty());
    for (int i = 0; i < OTHERS; i++)
        request_reply(others[i], "more", 4);
    request_answers_end();
    assert_int_equal(open_inbox(), 1 + OTHERS / 2);
    for (int i = 0; i < LOOPS; i++) {
        struct inbox_node *node = loop_take_inbox(&loops[i]);
        deliver(node);
        assert_null(node->next);
        loop_fini(&loops[i]);
    }
    assert_int_equal(asked.answered, 1 + OTHERS);
    for (int i = 0; i < OTHERS; i++) {
        request_release(others[i]);
        request_unref(others[i]);
    }
    /* From then on they are not kept back. */
    others[0] = another(&loop);
    request_refuse(others[0], "no", "not now");
    request_release(others[0]);
    assert_int_equal(open_inbox(), 1);
    request_unref(others[0]);
    request_release(request);
    request_unref(request);
}

static void an_answer_before_the_call_returns_needs_no_inbox(void **state)
{
    (void) state;
    assert_true(request_hold(request));
    reply("early");
    request_release(request);
    assert_false(keep_late());
    assert_true(inbox_is_empty());
    assert_int_equal(asked.answered, 0);
    assert_reply("early");
    request_unref(request);
}

static void a_held_request_has_a_message_of_its_own(void **state)
{
    (void) state;
    char input[] = "question";
    request_start(request, &loop, &asked, 7, input, strlen(input));
    hold();
    memset(input, 'x', sizeof input);
    assert_int_equal(request_size(request), strlen(message));
    assert_memory_equal(request_message(request), message, strlen(message));
    reply("late");
    request_release(request);
    assert_int_equal(open_inbox(), 1);
    request_unref(request);
}

static void a_request_that_is_released_without_an_answer_gets_an_error(void **state)
{
    (void) state;
    assert_true(request_hold(request));
    request_hold_again(request);
    assert_true(keep_late());
    request_release(request);
    assert_true(inbox_is_empty()); /* one may still answer */
    request_release(request);
    assert_int_equal(open_inbox(), 1);
    assert_int_equal(asked.answered, 1);
    assert_reply("-ERR handler-failed the handler has not answered");
    request_unref(request);
    assert_int_equal(dropped_answers(), 0);
}

/* ---- more than one answer ---- */

static void a_second_answer_is_dropped_and_logged(void **state)
{
    (void) state;
    hold();
    reply("first");
    reply("second");
    request_refuse(request, "no", "third");
    request_release(request);
    assert_int_equal(open_inbox(), 1);
    assert_reply("first");
    request_unref(request);
    assert_int_equal(dropped_answers(), 2);
}

static void an_answer_after_the_verdict_of_the_asker_is_dropped_and_logged(void **state)
{
    (void) state;
    hold();
    assert_true(request_claim(request)); /* its time is over */
    assert_false(request_claim(request));
    assert_true(request_is_over(request));
    reply("late");
    request_release(request);
    assert_true(inbox_is_empty());
    request_unref(request);
    assert_int_equal(dropped_answers(), 1);
}

static void an_answer_to_an_asker_that_has_gone_is_dropped_without_a_word(void **state)
{
    (void) state;
    hold();
    request->context = NULL;
    assert_true(request_cancel(request));
    request_unref(request); /* the holder keeps it */
    assert_true(request_is_over(request));
    reply("late");
    request_release(request);
    assert_true(inbox_is_empty());
    assert_int_equal(dropped_answers(), 0);
}

static void an_answer_that_is_on_its_way_when_the_asker_goes_is_thrown_away(void **state)
{
    (void) state;
    hold();
    reply("late");
    request_release(request);
    request->context = NULL;
    assert_false(request_cancel(request)); /* the answer was quicker: it drops the reference */
    assert_int_equal(open_inbox(), 1);
    assert_int_equal(asked.answered, 0);
}

/* ---- a call outside of the loop ---- */

static void a_call_outside_of_the_loop_delivers_its_answer(void **state)
{
    (void) state;
    reply("computed");
    assert_true(request_detach(request));
    loop_post(&loop, &request->job.node); /* as the executor's thread does */
    request_returned(request);
    assert_int_equal(open_inbox(), 1);
    assert_int_equal(asked.answered, 1);
    assert_int_equal(asked.returned, 0);
    assert_reply("computed");
    request_unref(request);
}

static void a_call_outside_of_the_loop_says_when_it_has_returned_without_an_answer(void **state)
{
    (void) state;
    assert_true(request_hold(request));
    assert_false(request_detach(request));
    request_returned(request);
    assert_int_equal(open_inbox(), 1);
    assert_int_equal(asked.returned, 1);
    assert_int_equal(asked.answered, 0);
    reply("late");
    request_release(request);
    assert_int_equal(open_inbox(), 1);
    assert_int_equal(asked.answered, 1);
    assert_reply("late");
    request_unref(request);
}

static void an_answer_may_overtake_the_return_of_its_call(void **state)
{
    (void) state;
    assert_true(request_hold(request));
    assert_false(request_detach(request));
    request_returned(request);
    struct inbox_node *returned = loop_take_inbox(&loop);
    reply("late");
    request_release(request);
    assert_int_equal(open_inbox(), 1);
    assert_int_equal(asked.answered, 1);
    request->context = NULL;
    request_unref(request); /* the return's hold keeps it */
    assert_ptr_equal(returned, &request->return_node);
    assert_null(returned->next);
    deliver(returned);
    assert_int_equal(asked.returned, 0); /* nobody waits any more */
}

static void a_call_that_returns_behind_its_answer_does_not_say_so(void **state)
{
    (void) state;
    assert_true(request_hold(request));
    assert_false(request_detach(request));
    reply("late"); /* by another thread, say */
    request_returned(request);
    assert_int_equal(open_inbox(), 1);
    assert_int_equal(asked.answered, 1);
    assert_int_equal(asked.returned, 0);
    request_release(request);
    request_unref(request);
}

static void a_call_outside_of_the_loop_that_forgets_its_request_gets_an_error(void **state)
{
    (void) state;
    assert_false(request_detach(request));
    request_returned(request);
    assert_int_equal(open_inbox(), 1);
    assert_int_equal(asked.answered, 1);
    assert_int_equal(asked.returned, 0);
    assert_reply("-ERR handler-failed the handler has not answered");
    request_unref(request);
}

static void a_call_that_returns_behind_a_verdict_delivers_nothing(void **state)
{
    (void) state;
    assert_true(request_claim(request));
    assert_false(request_detach(request));
    request_returned(request);
    assert_true(inbox_is_empty());
    request_unref(request);
}

static void what_nobody_will_deliver_can_be_discarded(void **state)
{
    (void) state;
    assert_true(request_hold(request));
    assert_false(request_detach(request));
    request_returned(request);
    reply("late");
    request_release(request);
    struct inbox_node *node = loop_take_inbox(&loop), *next = node->next;
    assert_int_equal(node->kind, INBOX_RETURN);
    assert_int_equal(next->kind, INBOX_ANSWER);
    assert_null(next->next);
    request_discard(node);
    request_discard(next);
    assert_int_equal(asked.answered + asked.returned, 0);
}

/* ---- spares ---- */

static void ask_again(struct request_spares *spares, const char *text, size_t size)
{
    request = request_from(spares, NULL, &asker, capture.log);
    request_start(request, &loop, &asked, 7, text, size);
}

/* The asker is through with it, and nobody else has it. */
static void retire(struct request_spares *spares)
{
    request_release(request);
    open_inbox();
    request_unref_to(request, spares);
}

static void a_request_that_nobody_has_is_there_for_the_next_call(void **state)
{
    (void) state;
    struct request_spares spares = {.queue = STAILQ_HEAD_INITIALIZER(spares.queue)};
    const struct request *first = request;
    hold();
    retire(&spares);
    assert_int_equal(spares.count, 1);
    ask_again(&spares, "other", 5);
    assert_ptr_equal(request, first);
    assert_int_equal(spares.count, 0);
    assert_true(request_hold(request));
    assert_int_equal(request_size(request), 5);
    assert_memory_equal(request_message(request), "other", 5);
    assert_int_equal(buffer_size(&request->reply), 0);
    assert_true(keep_late());
    reply("second");
    retire(&spares);
    request_spares_fini(&spares);
    assert_int_equal(spares.count, 0);
}

static void a_request_with_a_holder_is_no_spare(void **state)
{
    (void) state;
    struct request_spares spares = {.queue = STAILQ_HEAD_INITIALIZER(spares.queue)};
    hold();
    reply("answer");
    open_inbox();
    request_unref_to(request, &spares);
    assert_int_equal(spares.count, 0);
    request_release(request); /* frees it */
}

static void spares_are_few_and_small(void **state)
{
    (void) state;
    enum { FEW = 64, SMALL = 4096 };
    static const char large[SMALL + 1];
    struct request_spares spares = {.queue = STAILQ_HEAD_INITIALIZER(spares.queue)};
    struct request *requests[FEW + 1];
    request_free(request);
    ask_again(&spares, large, sizeof large);
    hold();
    retire(&spares);
    assert_int_equal(spares.count, 0);
    for (unsigned i = 0; i <= FEW; i++) {
        ask_again(&spares, message, strlen(message));
        requests[i] = request;
    }
    for (unsigned i = 0; i <= FEW; i++) {
        request = requests[i];
        hold();
        retire(&spares);
    }
    assert_int_equal(spares.count, FEW);
    request_spares_fini(&spares);
}

/* ---- races ---- */

static void an_answer_that_races_the_return_of_its_call_is_delivered_once(void **state)
{
    (void) state;
    enum { ROUNDS = 300 };
    request_free(request);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        pthread_t thread;
        request = request_new(NULL, &asker, capture.log);
        request_start(request, &loop, &asked, round, message, strlen(message));
        assert_true(request_hold(request));
        assert_int_equal(pthread_create(&thread, NULL, answer_late, request), 0);
        if (keep_late())
            assert_int_equal(open_inbox(), 1);
        else
            asked.answered++;
        assert_int_equal(asked.answered, round);
        assert_reply("late");
        pthread_join(thread, NULL);
        request_unref(request);
    }
    assert_int_equal(dropped_answers(), 0);
}

#define REQUEST_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REQUEST_TEST(an_answer_in_the_call_is_there_when_it_returns),
        REQUEST_TEST(an_answer_that_was_built_and_returned_is_there_too),
        REQUEST_TEST(a_call_without_an_answer_or_a_hold_is_forgotten),
        REQUEST_TEST(a_request_can_be_used_for_the_next_call),
        REQUEST_TEST(an_answer_from_another_thread_is_delivered_through_the_inbox),
        REQUEST_TEST(answers_that_are_kept_back_are_delivered_together),
        REQUEST_TEST(an_answer_before_the_call_returns_needs_no_inbox),
        REQUEST_TEST(a_held_request_has_a_message_of_its_own),
        REQUEST_TEST(a_request_that_is_released_without_an_answer_gets_an_error),
        REQUEST_TEST(a_second_answer_is_dropped_and_logged),
        REQUEST_TEST(an_answer_after_the_verdict_of_the_asker_is_dropped_and_logged),
        REQUEST_TEST(an_answer_to_an_asker_that_has_gone_is_dropped_without_a_word),
        REQUEST_TEST(an_answer_that_is_on_its_way_when_the_asker_goes_is_thrown_away),
        REQUEST_TEST(a_call_outside_of_the_loop_delivers_its_answer),
        REQUEST_TEST(a_call_outside_of_the_loop_says_when_it_has_returned_without_an_answer),
        REQUEST_TEST(an_answer_may_overtake_the_return_of_its_call),
        REQUEST_TEST(a_call_that_returns_behind_its_answer_does_not_say_so),
        REQUEST_TEST(a_call_outside_of_the_loop_that_forgets_its_request_gets_an_error),
        REQUEST_TEST(a_call_that_returns_behind_a_verdict_delivers_nothing),
        REQUEST_TEST(what_nobody_will_deliver_can_be_discarded),
        REQUEST_TEST(a_request_that_nobody_has_is_there_for_the_next_call),
        REQUEST_TEST(a_request_with_a_holder_is_no_spare),
        REQUEST_TEST(spares_are_few_and_small),
        REQUEST_TEST(an_answer_that_races_the_return_of_its_call_is_delivered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
