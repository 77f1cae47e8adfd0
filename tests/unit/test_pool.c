/*
 * test_pool: threads with toy work: which of them is given something, what they do when a loop is
 * lost, and how they end.
 *
 * A toy loop's owner waits until the test says how its loop ends; a toy job runs until the test
 * lets it go. The test waits for a thread to become a spare by asking for one while the bound
 * allows no new one.
 */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/engine/job.h"
#include "server/engine/loop.h"
#include "server/engine/pool.h"
#include "server/engine/thread.h"

enum { NO_GRACE = 0, SOON_MS = 5000, LONG_MS = 60000 };

struct toy_loop {
    struct loop loop;           /* first */
    sem_t owned;                /* posted by each owner */
    sem_t end;                  /* awaited by the first owner */
    sem_t drain;                /* awaited by one that has taken the loop */
    bool is_lost;               /* the first owner loses it */
    _Atomic bool to_background; /* the owner gets the lowest priority */
};

struct toy_job {
    struct job job; /* first */
    sem_t begun, end;
    struct pool_thread *thread; /* in which it runs */
};

struct context {
    unsigned owned;
    _Atomic unsigned lost;
};

static _Atomic unsigned ended; /* threads */
/* The thread that has lost its loop, when it asks for work; and how often it had lost one then. */
static _Atomic(struct pool_thread *) idle_thread;
static _Atomic unsigned idle_lost;

static void wait_for(sem_t *event)
{
    while (sem_wait(event) != 0)
        continue;
}

/* ---- what the pool's threads do ---- */

static bool own(struct loop *loop, struct pool_thread *thread, struct pool_thread *from)
{
    struct toy_loop *toy = (struct toy_loop *) loop;
    struct context *context = pool_thread_context(thread);
    context->owned++;
    if (toy->to_background)
        pool_thread_set_background(thread);
    sem_post(&toy->owned);
    wait_for(from ? &toy->drain : &toy->end);
    /* The test looks at the context of the former owner until then. */
    if (from)
        pool_thread_let_go(from);
    return from || !toy->is_lost;
}

static void lost(void *argument)
{
    struct context *context = argument;
    context->lost++;
}

static void fini(void *context)
{
    (void) context;
    atomic_fetch_add(&ended, 1);
}

static const struct pool_ops ops = {
    .context_bytes = sizeof(struct context),
    .own = own,
    .lost = lost,
    .fini = fini,
};

static void work(void *user, struct pool_thread *thread, struct job *job)
{
    struct toy_job *toy = (struct toy_job *) job;
    assert(user == &ops);
    if (!toy) {
        atomic_store(&idle_lost, ((struct context *) pool_thread_context(thread))->lost);
        atomic_store(&idle_thread, thread);
        return;
    }
    toy->thread = thread;
    sem_post(&toy->begun);
    wait_for(&toy->end);
}

/* ---- the test's side ---- */

static struct pool *open_pool(unsigned bound)
{
    struct pool *pool = pool_new(bound, &ops, NULL);
    assert_non_null(pool);
    /* What it is called with is checked by work(). */
    pool_set_work(pool, work, (void *) (uintptr_t) &ops);
    atomic_store(&ended, 0);
    atomic_store(&idle_thread, NULL);
    return pool;
}

static void close_pool(struct pool *pool)
{
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, NO_GRACE), 0);
    pool_free(pool);
}

static void init_loop(struct toy_loop *toy)
{
    *toy = (struct toy_loop){0};
    sem_init(&toy->owned, 0, 0);
    sem_init(&toy->end, 0, 0);
    sem_init(&toy->drain, 0, 0);
}

static void init_job(struct toy_job *toy)
{
    *toy = (struct toy_job){0};
    sem_init(&toy->begun, 0, 0);
    sem_init(&toy->end, 0, 0);
}

static struct pool_thread *get(struct pool *pool, enum pool_use use)
{
    struct pool_thread *thread = pool_get(pool, use);
    assert_non_null(thread);
    return thread;
}

/* Waits for a spare; the bound allows no new thread. */
static struct pool_thread *await_spare(struct pool *pool, enum pool_use use)
{
    struct pool_thread *thread;
    assert_int_equal(pool_threads(pool), pool_bound(pool));
    while (!(thread = pool_get(pool, use)))
        sched_yield();
    return thread;
}

static void give_loop(struct pool_thread *thread, struct toy_loop *toy, struct pool_thread *from)
{
    pool_give_loop(thread, &toy->loop, from);
    wait_for(&toy->owned);
}

/* A spare of the lowest priority. */
static struct pool_thread *make_background(struct pool *pool, struct toy_loop *toy)
{
    struct pool_thread *thread = get(pool, POOL_INTERACTIVE);
    toy->to_background = true;
    give_loop(thread, toy, NULL);
    sem_post(&toy->end);
    assert_true(pool_thread_is_background(thread));
    return thread;
}

/* ---- spares ---- */

static void a_thread_that_is_through_is_used_again(void **state)
{
    (void) state;
    struct pool *pool = open_pool(1);
    struct toy_loop toy;
    init_loop(&toy);
    struct pool_thread *thread = get(pool, POOL_INTERACTIVE);
    for (unsigned round = 1; round <= 3; round++) {
        give_loop(thread, &toy, NULL);
        assert_ptr_equal(toy.loop.owner, thread);
        sem_post(&toy.end);
        assert_ptr_equal(await_spare(pool, POOL_INTERACTIVE), thread);
        assert_int_equal(((struct context *) pool_thread_context(thread))->owned, round);
    }
    pool_put_back(thread);
    close_pool(pool);
    assert_int_equal(ended, 1);
}

static void the_latest_spare_is_used_first(void **state)
{
    (void) state;
    struct pool *pool = open_pool(3);
    struct pool_thread *threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = get(pool, POOL_INTERACTIVE);
    for (int i = 0; i < 3; i++)
        pool_put_back(threads[i]);
    for (int i = 2; i >= 0; i--)
        assert_ptr_equal(get(pool, POOL_INTERACTIVE), threads[i]);
    for (int i = 0; i < 3; i++)
        pool_put_back(threads[i]);
    close_pool(pool);
    assert_int_equal(ended, 3);
}

static void spares_do_not_stay(void **state)
{
    (void) state;
    struct pool *pool = open_pool(3);
    struct toy_loop toys[6];
    pool_set_patience(pool, 1);
    for (int first = 0; first < 6; first += 3) {
        for (int i = first; i < first + 3; i++) {
            init_loop(&toys[i]);
            give_loop(get(pool, POOL_INTERACTIVE), &toys[i], NULL);
        }
        for (int i = first; i < first + 3; i++)
            sem_post(&toys[i].end);
        while (pool_threads(pool) > 0)
            sched_yield();
    }
    close_pool(pool);
    assert_int_equal(ended, 6);
}

static void there_are_no_more_threads_than_the_bound(void **state)
{
    (void) state;
    struct pool *pool = open_pool(2);
    assert_int_equal(pool_bound(pool), 2);
    assert_int_equal(pool_threads(pool), 0);
    struct pool_thread *first = get(pool, POOL_INTERACTIVE);
    struct pool_thread *second = get(pool, POOL_BACKGROUND);
    assert_int_equal(pool_threads(pool), 2);
    assert_null(pool_get(pool, POOL_INTERACTIVE));
    assert_null(pool_get(pool, POOL_BACKGROUND));
    assert_int_equal(pool_threads(pool), 2);
    pool_put_back(second);
    assert_ptr_equal(get(pool, POOL_INTERACTIVE), second);
    pool_put_back(first);
    pool_put_back(second);
    close_pool(pool);
}

static void a_thread_of_the_lowest_priority_is_no_spare_for_a_loop(void **state)
{
    (void) state;
    struct pool *pool = open_pool(2);
    struct toy_loop toy;
    init_loop(&toy);
    struct pool_thread *background = make_background(pool, &toy);
    struct pool_thread *other = get(pool, POOL_INTERACTIVE);
    assert_ptr_not_equal(other, background);
    assert_ptr_equal(await_spare(pool, POOL_BACKGROUND), background);
    pool_put_back(background);
    pool_put_back(other);
    /* Now both are spares: each use has its own. */
    assert_ptr_equal(get(pool, POOL_BACKGROUND), background);
    assert_ptr_equal(get(pool, POOL_INTERACTIVE), other);
    pool_put_back(background);
    pool_put_back(other);
    close_pool(pool);
}

static void a_loop_gets_no_thread_of_the_lowest_priority_even_if_there_is_no_other(void **state)
{
    (void) state;
    struct pool *pool = open_pool(1);
    struct toy_loop toy;
    init_loop(&toy);
    struct pool_thread *background = make_background(pool, &toy);
    assert_ptr_equal(await_spare(pool, POOL_BACKGROUND), background);
    pool_put_back(background);
    assert_null(pool_get(pool, POOL_LOOP));
    assert_null(pool_get(pool, POOL_INTERACTIVE));
    close_pool(pool);
}

/* As calls make them that compute when nobody expects it. */
static void few_spares_of_the_lowest_priority_are_kept(void **state)
{
    (void) state;
    enum { COUNT = 40, KEPT = 8 };
    struct pool *pool = open_pool(COUNT);
    struct toy_loop toys[COUNT];
    for (int i = 0; i < COUNT; i++) {
        init_loop(&toys[i]);
        toys[i].to_background = true;
        give_loop(get(pool, POOL_LOOP), &toys[i], NULL);
    }
    for (int i = 0; i < COUNT; i++)
        sem_post(&toys[i].end);
    for (int64_t until_ms = clock_ms() + LONG_MS; pool_threads(pool) > KEPT;) {
        assert_true(clock_ms() < until_ms);
        sched_yield();
    }
    close_pool(pool);
    assert_int_equal(ended, COUNT);
}

/* ---- the reserve ---- */

static void the_reserve_is_there_before_it_is_needed_and_for_loops_alone(void **state)
{
    (void) state;
    struct pool *pool = open_pool(3);
    struct pool_thread *threads[3];
    pool_keep(pool, 2);
    assert_int_equal(pool_threads(pool), 2);
    assert_int_equal(pool_spares(pool), 2);
    assert_true(pool_has_room(pool));

    threads[0] = get(pool, POOL_INTERACTIVE); /* a new one */
    assert_int_equal(pool_spares(pool), 2);
    assert_false(pool_has_room(pool));
    assert_null(pool_get(pool, POOL_INTERACTIVE));
    assert_null(pool_get(pool, POOL_BACKGROUND));
    assert_false(pool_is_short(pool));

    threads[1] = get(pool, POOL_LOOP);
    threads[2] = get(pool, POOL_LOOP);
    assert_true(pool_is_short(pool));
    assert_null(pool_get(pool, POOL_LOOP));
    pool_refill(pool); /* the bound allows nothing */
    assert_int_equal(pool_spares(pool), 0);
    for (int i = 0; i < 3; i++)
        pool_put_back(threads[i]);
    assert_int_equal(pool_spares(pool), 3);
    assert_true(pool_has_room(pool));
    close_pool(pool);
    assert_int_equal(ended, 3);
}

static void what_is_kept_for_steps_is_for_them_alone(void **state)
{
    (void) state;
    enum { STEPS = 2, RESERVE = 1, BOUND = 4 };
    static const enum pool_use others[] = {POOL_INTERACTIVE, POOL_LOOP, POOL_BACKGROUND};
    struct pool *pool = open_pool(BOUND);
    struct pool_thread *busy[BOUND - STEPS], *steps[STEPS];
    pool_keep(pool, RESERVE);
    pool_keep_for_steps(pool, STEPS);
    assert_int_equal(pool_threads(pool), RESERVE + STEPS);
    assert_int_equal(pool_spares(pool), RESERVE);
    for (int i = 0; i < BOUND - STEPS; i++) /* a new one, and the reserve */
        busy[i] = get(pool, others[i]);
    assert_int_equal(pool_spares(pool), 0);
    assert_true(pool_is_short(pool));
    for (int i = 0; i < 3; i++)
        assert_null(pool_get(pool, others[i]));

    for (int i = 0; i < STEPS; i++)
        steps[i] = get(pool, POOL_STEP);
    assert_null(pool_get(pool, POOL_STEP));
    for (int i = 0; i < STEPS; i++)
        pool_put_back(steps[i]);
    assert_int_equal(pool_spares(pool), 0); /* still theirs */
    assert_null(pool_get(pool, POOL_LOOP));
    pool_put_back(get(pool, POOL_STEP));
    for (int i = 0; i < BOUND - STEPS; i++)
        pool_put_back(busy[i]);
    assert_false(pool_is_short(pool));
    close_pool(pool);
}

static void a_step_takes_what_is_kept_only_if_there_is_no_other(void **state)
{
    (void) state;
    struct pool *pool = open_pool(5);
    struct pool_thread *steps[3];
    pool_keep(pool, 2);
    pool_keep_for_steps(pool, 1);
    for (unsigned i = 0; i < 3; i++) {
        static const unsigned threads[3] = {4, 5, 5};
        steps[i] = get(pool, POOL_STEP);
        assert_int_equal(pool_threads(pool), threads[i]);
        assert_int_equal(pool_spares(pool), 2); /* the reserve stays as it is */
        assert_false(pool_is_short(pool));
    }
    assert_null(pool_get(pool, POOL_STEP));
    for (unsigned i = 0; i < 3; i++)
        pool_put_back(steps[i]);
    assert_int_equal(pool_spares(pool), 4);
    close_pool(pool);
}

static void what_is_missing_of_the_reserve_is_started(void **state)
{
    (void) state;
    struct pool *pool = open_pool(8);
    pool_keep(pool, 2);
    struct pool_thread *thread = get(pool, POOL_LOOP);
    assert_true(pool_is_short(pool));
    pool_refill(pool);
    assert_int_equal(pool_spares(pool), 2);
    pool_refill(pool);
    assert_int_equal(pool_threads(pool), 3);
    pool_put_back(thread);
    close_pool(pool);
}

/* A call may lose its loop in the drain, too. */
static void the_reserve_outlives_the_stop_until_the_last_loop_has_drained(void **state)
{
    (void) state;
    struct pool *pool = open_pool(2);
    struct toy_loop toy;
    init_loop(&toy);
    pool_keep(pool, 1);
    give_loop(get(pool, POOL_LOOP), &toy, NULL);
    pool_refill(pool);
    assert_int_equal(pool_stop(pool, clock_ms() - 1, NO_GRACE), 1);
    assert_int_equal(pool_spares(pool), 1);
    sem_post(&toy.end);
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, NO_GRACE), 0);
    assert_int_equal(pool_threads(pool), 0);
    assert_null(pool_get(pool, POOL_LOOP));
    pool_free(pool);
}

/* The monitor may ask at any time, until it ends behind the pool. */
static void nothing_is_started_behind_the_last_loop_while_a_call_goes_on(void **state)
{
    (void) state;
    struct pool *pool = open_pool(4);
    struct toy_job toy;
    init_job(&toy);
    pool_give_job(get(pool, POOL_INTERACTIVE), &toy.job);
    wait_for(&toy.begun);
    assert_int_equal(pool_stop(pool, clock_ms() - 1, NO_GRACE), 1);
    pool_keep(pool, 2);
    assert_null(pool_get(pool, POOL_LOOP));
    assert_null(pool_get(pool, POOL_INTERACTIVE));
    assert_null(pool_get(pool, POOL_BACKGROUND));
    assert_int_equal(pool_threads(pool), 1);
    sem_post(&toy.end);
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, NO_GRACE), 0);
    pool_free(pool);
}

static void a_job_that_computes_gets_any_spare_before_a_new_thread(void **state)
{
    (void) state;
    struct pool *pool = open_pool(2);
    struct pool_thread *spare = get(pool, POOL_INTERACTIVE);
    pool_put_back(spare);
    assert_ptr_equal(get(pool, POOL_BACKGROUND), spare);
    assert_int_equal(pool_threads(pool), 1);
    pool_put_back(spare);
    close_pool(pool);
}

/* ---- work ---- */

static void a_job_is_worked_on_in_the_thread_that_it_was_given_to(void **state)
{
    (void) state;
    struct pool *pool = open_pool(1);
    struct toy_job toy;
    init_job(&toy);
    struct pool_thread *thread = get(pool, POOL_BACKGROUND);
    pool_give_job(thread, &toy.job);
    wait_for(&toy.begun);
    assert_ptr_equal(toy.thread, thread);
    assert_null(pool_get(pool, POOL_BACKGROUND));
    sem_post(&toy.end);
    assert_ptr_equal(await_spare(pool, POOL_BACKGROUND), thread);
    pool_put_back(thread);
    close_pool(pool);
}

/* The second thread takes the loop of the first one, whose call ends before it is let go. */
static void a_thread_that_has_lost_its_loop_waits_to_be_let_go_and_then_works(void **state)
{
    (void) state;
    struct pool *pool = open_pool(2);
    struct toy_loop toy;
    init_loop(&toy);
    toy.is_lost = true;
    struct pool_thread *former = get(pool, POOL_INTERACTIVE);
    struct pool_thread *owner = get(pool, POOL_INTERACTIVE);
    struct context *context = pool_thread_context(former);
    give_loop(former, &toy, NULL);
    pid_t tid = pool_thread_self(former)->tid;

    sem_post(&toy.end);
    /* Either it waits, as it should, or it works; a lock that it waits for does no harm. */
    while (!thread_is_asleep(tid) && !atomic_load(&idle_thread))
        sched_yield();
    give_loop(owner, &toy, former);
    assert_null(atomic_load(&idle_thread));
    assert_int_equal(context->lost, 0);
    assert_ptr_equal(toy.loop.owner, owner);

    sem_post(&toy.drain);
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, NO_GRACE), 0);
    assert_ptr_equal(atomic_load(&idle_thread), former);
    assert_int_equal(idle_lost, 1);
    assert_int_equal(ended, 2);
    pool_free(pool);
}

/* ---- the end ---- */

static void an_empty_pool_has_nothing_to_wait_for(void **state)
{
    (void) state;
    struct pool *pool = open_pool(1);
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, NO_GRACE), 0);
    pool_free(pool);
    pool_free(NULL);
}

static void calls_are_left_behind_at_the_deadline(void **state)
{
    (void) state;
    struct pool *pool = open_pool(3);
    struct toy_job jobs[2];
    for (int i = 0; i < 2; i++) {
        init_job(&jobs[i]);
        pool_give_job(get(pool, POOL_INTERACTIVE), &jobs[i].job);
        wait_for(&jobs[i].begun);
    }
    pool_put_back(get(pool, POOL_INTERACTIVE));
    /* The grace is for the spare and for loops: for calls it would be waited for in vain. */
    assert_int_equal(pool_stop(pool, clock_ms(), LONG_MS), 2);
    for (int i = 0; i < 2; i++)
        sem_post(&jobs[i].end);
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, NO_GRACE), 0);
    assert_int_equal(ended, 3);
    pool_free(pool);
}

struct drain {
    struct toy_loop *toy;
    _Atomic bool begun;
};

static void *drain_soon(void *argument)
{
    struct drain *drain = argument;
    for (int i = 0; i < 100; i++)
        sched_yield();
    atomic_store(&drain->begun, true);
    sem_post(&drain->toy->end);
    return NULL;
}

static void loops_are_waited_for_beyond_the_deadline(void **state)
{
    (void) state;
    struct pool *pool = open_pool(1);
    struct toy_loop toy;
    struct drain drain = {.toy = &toy};
    pthread_t thread;
    init_loop(&toy);
    give_loop(get(pool, POOL_INTERACTIVE), &toy, NULL);
    assert_int_equal(pool_stop(pool, clock_ms() - 1, NO_GRACE), 1);
    assert_int_equal(pthread_create(&thread, NULL, drain_soon, &drain), 0);
    assert_int_equal(pool_stop(pool, clock_ms(), LONG_MS), 0);
    assert_true(atomic_load(&drain.begun));
    pthread_join(thread, NULL);
    pool_free(pool);
}

static void a_thread_that_was_picked_before_the_stop_can_still_be_put_back(void **state)
{
    (void) state;
    struct pool *pool = open_pool(1);
    struct toy_loop toy;
    init_loop(&toy);
    give_loop(get(pool, POOL_INTERACTIVE), &toy, NULL);
    sem_post(&toy.end);
    struct pool_thread *thread = await_spare(pool, POOL_INTERACTIVE); /* it waits by now */
    assert_int_equal(pool_stop(pool, clock_ms() - 1, NO_GRACE), 1);
    pool_put_back(thread);
    /* It ends by itself, and not only when it has not been needed for ten seconds. */
    for (int64_t until_ms = clock_ms() + SOON_MS; pool_threads(pool) && clock_ms() < until_ms;)
        sched_yield();
    assert_int_equal(pool_threads(pool), 0);
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, NO_GRACE), 0);
    assert_int_equal(ended, 1);
    pool_free(pool);
}

/* As the monitor may ask for one while the last owner ends: the pool may be freed by then. */
static void a_pool_that_has_stopped_gives_no_thread(void **state)
{
    (void) state;
    struct pool *pool = open_pool(1);
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, NO_GRACE), 0);
    assert_null(pool_get(pool, POOL_INTERACTIVE));
    assert_null(pool_get(pool, POOL_BACKGROUND));
    assert_int_equal(pool_threads(pool), 0);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_is_through_is_used_again),
        cmocka_unit_test(the_latest_spare_is_used_first),
        cmocka_unit_test(spares_do_not_stay),
        cmocka_unit_test(there_are_no_more_threads_than_the_bound),
        cmocka_unit_test(a_thread_of_the_lowest_priority_is_no_spare_for_a_loop),
        cmocka_unit_test(a_loop_gets_no_thread_of_the_lowest_priority_even_if_there_is_no_other),
        cmocka_unit_test(few_spares_of_the_lowest_priority_are_kept),
        cmocka_unit_test(the_reserve_is_there_before_it_is_needed_and_for_loops_alone),
        cmocka_unit_test(what_is_kept_for_steps_is_for_them_alone),
        cmocka_unit_test(a_step_takes_what_is_kept_only_if_there_is_no_other),
        cmocka_unit_test(what_is_missing_of_the_reserve_is_started),
        cmocka_unit_test(the_reserve_outlives_the_stop_until_the_last_loop_has_drained),
        cmocka_unit_test(nothing_is_started_behind_the_last_loop_while_a_call_goes_on),
        cmocka_unit_test(a_job_that_computes_gets_any_spare_before_a_new_thread),
        cmocka_unit_test(a_job_is_worked_on_in_the_thread_that_it_was_given_to),
        cmocka_unit_test(a_thread_that_has_lost_its_loop_waits_to_be_let_go_and_then_works),
        cmocka_unit_test(an_empty_pool_has_nothing_to_wait_for),
        cmocka_unit_test(a_pool_that_has_stopped_gives_no_thread),
        cmocka_unit_test(calls_are_left_behind_at_the_deadline),
        cmocka_unit_test(loops_are_waited_for_beyond_the_deadline),
        cmocka_unit_test(a_thread_that_was_picked_before_the_stop_can_still_be_put_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
