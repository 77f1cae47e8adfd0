/*
 * test_executor: toy jobs in threads of a real pool: which of them begin, in which order, and when
 * one loses its permit. The test does the monitor's part.
 *
 * What must not happen is looked for when all that could make it happen has returned: a thread that
 * was given a job is counted by then.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/engine/executor.h"
#include "server/engine/job.h"
#include "server/engine/loop.h"
#include "server/engine/pool.h"

enum {
    PERMITS = 2,
    BOUND = 16,
    PERMIT_NS = 100000000,
};

/* So far apart that it does not matter if the test itself is kept from going on for a while. */
static const enum cost cheap_cost = COST_COMPUTES, middle_cost = COST_COMPUTES + 14,
                       expensive_cost = COST_COMPUTES + 22;

struct toy_job {
    struct job job; /* first */
    sem_t begun, end;
    bool computes;             /* until `is_over`, instead of waiting for `end` */
    _Atomic bool is_over;      /* with `computes` */
    _Atomic unsigned place;    /* among those that have begun, from 1; 0: it has not */
    _Atomic unsigned released; /* how often */
    clockid_t cpu_clock;       /* of the thread that runs it */
    int nice;                  /* that thread's, in the end */
};

static struct pool *pool;
static struct executor *executor;
static _Atomic unsigned begun; /* jobs so far */
static sem_t any_begun;        /* posted for each of them */

static void wait_for(sem_t *event)
{
    while (sem_wait(event) != 0)
        continue;
}

/* ---- what the threads do ---- */

static void run(struct job *job)
{
    struct toy_job *toy = (struct toy_job *) job;
    pthread_getcpuclockid(pthread_self(), &toy->cpu_clock);
    toy->place = atomic_fetch_add(&begun, 1) + 1;
    bool computes = toy->computes;
    sem_post(&any_begun);
    sem_post(&toy->begun);
    while (computes && !atomic_load(&toy->is_over))
        continue;
    if (!computes)
        wait_for(&toy->end);
    toy->nice = getpriority(PRIO_PROCESS, 0);
}

static void release(struct job *job) { ((struct toy_job *) job)->released++; }

static const struct job_ops job_ops = {.run = run, .release = release};

struct toy_loop {
    struct loop loop; /* first */
    sem_t owned;
    sem_t end;   /* of the call, awaited by the first owner */
    sem_t drain; /* awaited by the second one */
};

/* The first owner loses its loop, the second one drains it. */
static bool own(struct loop *loop, struct pool_thread *thread, struct pool_thread *from)
{
    struct toy_loop *toy = (struct toy_loop *) loop;
    (void) thread;
    if (from)
        pool_thread_let_go(from);
    sem_post(&toy->owned);
    wait_for(from ? &toy->drain : &toy->end);
    return from;
}

static void lost(void *context) { (void) context; }

static const struct pool_ops pool_ops = {.own = own, .lost = lost, .fini = lost};

/* ---- the test's side ---- */

static void open_executor(unsigned permits, unsigned bound)
{
    atomic_store(&begun, 0);
    sem_init(&any_begun, 0, 0);
    pool = pool_new(bound, &pool_ops, NULL);
    assert_non_null(pool);
    executor = executor_new(permits, pool, &job_ops);
    assert_non_null(executor);
}

static void close_executor(void)
{
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, 0), 0);
    assert_int_equal(executor_computing(executor), 0);
    executor_free(executor);
    pool_free(pool);
}

static void init(struct toy_job *toy, enum cost cost)
{
    *toy = (struct toy_job){.job.cost = cost};
    sem_init(&toy->begun, 0, 0);
    sem_init(&toy->end, 0, 0);
}

static void init_all(struct toy_job *jobs, int count, enum cost cost)
{
    for (int i = 0; i < count; i++)
        init(&jobs[i], cost);
}

static void submit_all(struct toy_job *jobs, int count)
{
    for (int i = 0; i < count; i++)
        executor_submit(executor, &jobs[i].job);
}

static void init_loop(struct toy_loop *toy)
{
    *toy = (struct toy_loop){0};
    sem_init(&toy->owned, 0, 0);
    sem_init(&toy->end, 0, 0);
    sem_init(&toy->drain, 0, 0);
}

/* One that has begun, and waits. */
static void begin(struct toy_job *toy, enum cost cost)
{
    init(toy, cost);
    executor_submit(executor, &toy->job);
    executor_dispatch(executor, 0);
    wait_for(&toy->begun);
}

static void end_all(struct toy_job *jobs, int count)
{
    for (int i = 0; i < count; i++)
        sem_post(&jobs[i].end);
}

/* ---- permits ---- */

/* The job that was the first one to begin, the second one... */
static struct toy_job *with_place(struct toy_job *jobs, unsigned place)
{
    while (jobs->place != place)
        jobs++;
    return jobs;
}

static void no_more_jobs_compute_than_there_are_permits(void **state)
{
    (void) state;
    struct toy_job jobs[5];
    open_executor(PERMITS, BOUND);
    init_all(jobs, 5, cheap_cost);
    submit_all(jobs, 5);
    assert_int_equal(executor_computing(executor), 0); /* nothing begins by itself */
    assert_int_equal(executor_waiting(executor), 5);
    for (int i = 0; i < 3; i++) {
        executor_dispatch(executor, 0);
        assert_int_equal(executor_computing(executor), PERMITS);
        assert_int_equal(pool_threads(pool), PERMITS);
    }
    for (unsigned place = 1; place <= 5; place++) {
        wait_for(&any_begun);
        if (place < PERMITS)
            continue;
        assert_int_equal(begun, place);
        assert_int_equal(executor_waiting(executor), 5 - place);
        assert_int_equal(executor_computing(executor), PERMITS);
        if (place < 5) /* whoever is through takes the next one itself */
            sem_post(&with_place(jobs, place)->end);
    }
    assert_false(executor_is_crowded(executor));
    assert_int_equal(executor_submitted(executor), 5);
    assert_int_equal(pool_threads(pool), PERMITS);
    sem_post(&with_place(jobs, 1)->end);
    sem_post(&with_place(jobs, 5)->end);
    close_executor();
}

static void submitting_says_when_the_monitor_is_needed(void **state)
{
    (void) state;
    struct toy_job first, jobs[3], sleeper, newcomer;
    open_executor(1, BOUND);
    init_all(jobs, 3, cheap_cost);
    init(&sleeper, COST_SLEEPS);
    init(&newcomer, COST_UNKNOWN);
    init(&first, cheap_cost);
    assert_true(executor_submit(executor, &first.job));
    assert_false(executor_submit(executor, &jobs[0].job)); /* the first one has seen to it */
    assert_true(executor_submit(executor, &sleeper.job));
    assert_true(executor_submit(executor, &newcomer.job));
    executor_dispatch(executor, 0);
    wait_for(&newcomer.begun);
    wait_for(&sleeper.begun);
    /* There is no permit left: whoever gives it back looks into the inbox. */
    assert_false(executor_submit(executor, &jobs[1].job));
    sem_post(&newcomer.end);
    for (int i = 0; i < 3; i++)
        sem_post(&jobs[i].end);
    sem_post(&sleeper.end);
    sem_post(&first.end);
    wait_for(&first.begun);
    wait_for(&jobs[0].begun);
    wait_for(&jobs[1].begun);
    close_executor();
}

static void sleepers_need_no_permit(void **state)
{
    (void) state;
    struct toy_job computing, waiting, sleepers[4];
    open_executor(1, BOUND);
    begin(&computing, cheap_cost);
    init(&waiting, cheap_cost);
    executor_submit(executor, &waiting.job);
    init_all(sleepers, 4, COST_SLEEPS);
    submit_all(sleepers, 4);
    executor_dispatch(executor, 0);
    for (int i = 0; i < 4; i++)
        wait_for(&sleepers[i].begun);
    assert_int_equal(executor_computing(executor), 1);
    assert_int_equal(waiting.place, 0);
    end_all(sleepers, 4);
    sem_post(&computing.end);
    wait_for(&waiting.begun);
    sem_post(&waiting.end);
    close_executor();
}

static void sleepers_leave_some_threads_to_newcomers(void **state)
{
    (void) state;
    enum { MOST = BOUND - BOUND / 8 };
    struct toy_job sleepers[BOUND], newcomer;
    open_executor(1, BOUND);
    init_all(sleepers, BOUND, COST_SLEEPS);
    submit_all(sleepers, BOUND);
    executor_dispatch(executor, 0);
    assert_int_equal(pool_threads(pool), MOST);
    begin(&newcomer, COST_UNKNOWN);
    assert_int_equal(pool_threads(pool), MOST + 1);
    sem_post(&newcomer.end);
    end_all(sleepers, BOUND); /* whoever is through takes the next one itself */
    for (int i = 0; i < BOUND; i++)
        wait_for(&sleepers[i].begun);
    close_executor();
}

/* As they come when the loops may call nothing. */
static void quick_jobs_are_run_in_what_the_loops_do_not_need_of_the_reserve(void **state)
{
    (void) state;
    struct toy_job quick, sleeper;
    open_executor(1, 2);
    pool_keep(pool, 2);
    init(&quick, COST_QUICK);
    init(&sleeper, COST_SLEEPS);
    assert_true(executor_submit(executor, &quick.job));
    executor_submit(executor, &sleeper.job);
    executor_dispatch(executor, 2);
    assert_int_equal(pool_spares(pool), 2);
    executor_dispatch(executor, 1);
    assert_int_equal(pool_spares(pool), 1);
    wait_for(&quick.begun);
    assert_int_equal(executor_computing(executor), 0);
    sem_post(&quick.end);
    while (pool_spares(pool) < 2) /* it goes back, and does not take the sleeper */
        sched_yield();
    assert_int_equal(sleeper.place, 0);
    pool_keep(pool, 1);
    executor_dispatch(executor, 0);
    sem_post(&sleeper.end);
    wait_for(&sleeper.begun);
    close_executor();
}

/* ---- steps ---- */

static void steps_need_no_permit_and_two_may_be_begun_for_each_core(void **state)
{
    (void) state;
    enum { MOST = 2 * PERMITS, COUNT = MOST + 3 };
    struct toy_job computing[PERMITS], steps[COUNT];
    open_executor(PERMITS, BOUND);
    pool_keep_for_steps(pool, PERMITS);
    for (int i = 0; i < PERMITS; i++)
        begin(&computing[i], cheap_cost);
    init_all(steps, COUNT, COST_STEP);
    for (int i = 0; i < COUNT; i++) {
        assert_true(executor_submit(executor, &steps[i].job));
        assert_true(executor_dispatch(executor, 0));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        wait_for(&steps[i].begun);
        if (i + 1 < MOST)
            continue;
        assert_int_equal(begun, PERMITS + i + 1);
        assert_int_equal(executor_waiting(executor), COUNT - 1 - i);
        sem_post(&steps[i + 1 - MOST].end); /* whoever is through takes the next one itself */
    }
    assert_int_equal(executor_computing(executor), PERMITS);
    for (unsigned i = COUNT - MOST + 1; i < COUNT; i++)
        sem_post(&steps[i].end);
    end_all(computing, PERMITS);
    close_executor();
}

/* Some newcomers, those that sleep, and in the loops' reserve those that were expected to be quick.
 */
static void steps_are_taken_when_all_else_hangs(void **state)
{
    (void) state;
    enum { CLASSES = 3 };
    static const enum cost costs[CLASSES] = {COST_UNKNOWN, COST_SLEEPS, COST_QUICK};
    static const int counts[CLASSES] = {3, BOUND, BOUND};
    struct toy_job hanging[CLASSES][BOUND], steps[3];
    open_executor(1, BOUND);
    pool_keep(pool, 2);
    pool_keep_for_steps(pool, 1);
    for (int i = 0; i < CLASSES; i++) {
        init_all(hanging[i], counts[i], costs[i]);
        submit_all(hanging[i], counts[i]);
        for (int samples = 0; samples < BOUND; samples++) {
            executor_dispatch(executor, 0);
            executor_sample(executor);
            pool_refill(pool);
        }
    }
    for (int i = 0; i < BOUND - 1; i++)
        wait_for(&any_begun);
    assert_int_equal(pool_threads(pool), BOUND);
    assert_int_equal(pool_spares(pool), 0);
    for (int i = 0; i < 3; i++) { /* behind it the thread takes nothing else */
        init(&steps[i], COST_STEP);
        sem_post(&steps[i].end);
        executor_submit(executor, &steps[i].job);
        while (!executor_dispatch(executor, 0) && steps[i].place == 0)
            sched_yield();
        wait_for(&steps[i].begun);
        assert_int_equal(begun, BOUND + i);
    }
    for (int i = 0; i < CLASSES; i++)
        end_all(hanging[i], counts[i]);
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, 0), 0);
    executor_free(executor);
    pool_free(pool);
}

static void a_step_has_the_priority_of_the_loops_however_long_it_computes(void **state)
{
    (void) state;
    struct toy_job step;
    open_executor(1, BOUND);
    pool_keep_for_steps(pool, 1);
    init(&step, COST_STEP);
    step.computes = true;
    executor_submit(executor, &step.job);
    executor_dispatch(executor, 0);
    wait_for(&step.begun);
    while (clock_ns(step.cpu_clock) < PERMIT_NS)
        executor_sample(executor);
    assert_int_equal(executor_computing(executor), 0);
    atomic_store(&step.is_over, true);
    close_executor();
    assert_int_equal(step.nice, getpriority(PRIO_PROCESS, 0));
}

/* ---- the order ---- */

static void the_cheaper_ones_begin_first(void **state)
{
    (void) state;
    struct toy_job computing, expensive, middle, cheap;
    open_executor(1, BOUND);
    begin(&computing, cheap_cost);
    init(&expensive, expensive_cost);
    init(&middle, middle_cost);
    init(&cheap, cheap_cost);
    executor_submit(executor, &expensive.job);
    executor_submit(executor, &middle.job);
    executor_submit(executor, &cheap.job);
    sem_post(&computing.end);
    sem_post(&cheap.end);
    sem_post(&middle.end);
    sem_post(&expensive.end);
    wait_for(&expensive.begun);
    assert_int_equal(cheap.place, 2);
    assert_int_equal(middle.place, 3);
    assert_int_equal(expensive.place, 4);
    close_executor();
}

/* Only what comes in the time that it takes itself may overtake a job. */
static void a_job_is_not_overtaken_for_ever(void **state)
{
    (void) state;
    struct toy_job computing, waiting, cheaper;
    open_executor(1, BOUND);
    begin(&computing, cheap_cost);
    init(&waiting, COST_COMPUTES + 2); /* 1 ms */
    init(&cheaper, cheap_cost);
    executor_submit(executor, &waiting.job);
    executor_dispatch(executor, 0); /* it stands in the queue from now on */
    for (int64_t until_ms = clock_ms() + 3; clock_ms() < until_ms;)
        sched_yield();
    executor_submit(executor, &cheaper.job);
    sem_post(&computing.end);
    sem_post(&waiting.end);
    sem_post(&cheaper.end);
    wait_for(&cheaper.begun);
    assert_int_equal(waiting.place, 2);
    assert_int_equal(cheaper.place, 3);
    close_executor();
}

static void jobs_of_unknown_cost_begin_first(void **state)
{
    (void) state;
    struct toy_job computing, known, newcomers[2];
    open_executor(1, 1); /* there is one thread for all of them */
    begin(&computing, cheap_cost);
    init(&known, cheap_cost);
    init_all(newcomers, 2, COST_UNKNOWN);
    executor_submit(executor, &known.job);
    submit_all(newcomers, 2);
    sem_post(&computing.end);
    sem_post(&known.end);
    end_all(newcomers, 2);
    wait_for(&known.begun);
    assert_int_equal(newcomers[0].place, 2);
    assert_int_equal(newcomers[1].place, 3);
    assert_int_equal(known.place, 4);
    close_executor();
}

static void jobs_of_unknown_cost_get_one_thread_between_two_samples(void **state)
{
    (void) state;
    struct toy_job newcomers[3];
    open_executor(1, BOUND);
    init_all(newcomers, 3, COST_UNKNOWN);
    submit_all(newcomers, 3);
    for (unsigned sample = 1; sample <= 3; sample++) {
        executor_dispatch(executor, 0);
        executor_dispatch(executor, 0);
        assert_int_equal(pool_threads(pool), sample);
        wait_for(&newcomers[sample - 1].begun);
        assert_int_equal(begun, sample);
        if (sample == 1) {
            assert_int_equal(executor_computing(executor), 1);
            assert_false(executor_is_crowded(executor));
        }
        executor_sample(executor);
    }
    end_all(newcomers, 3);
    close_executor();
}

/* ---- losing a permit ---- */

static void sample_until_nothing_computes(void)
{
    while (executor_computing(executor) > 0) {
        executor_sample(executor);
        sched_yield();
    }
}

static void a_job_that_sleeps_loses_its_permit_to_the_next_one(void **state)
{
    (void) state;
    struct toy_job sleeper, next, last;
    open_executor(1, 2);
    begin(&sleeper, cheap_cost);
    init(&next, cheap_cost);
    executor_submit(executor, &next.job);
    assert_true(executor_is_busy(executor));
    sample_until_nothing_computes();
    executor_dispatch(executor, 0);
    wait_for(&next.begun);
    assert_int_equal(executor_computing(executor), 1);

    /* When it is over it has no permit to give to the last one. */
    init(&last, cheap_cost);
    executor_submit(executor, &last.job);
    sem_post(&sleeper.end);
    struct pool_thread *thread;
    while (!(thread = pool_get(pool, POOL_BACKGROUND)))
        sched_yield();
    pool_put_back(thread);
    assert_int_equal(last.place, 0);
    assert_int_equal(executor_computing(executor), 1);
    sem_post(&next.end);
    wait_for(&last.begun);
    sem_post(&last.end);
    close_executor();
}

static void a_job_loses_its_permit_when_it_has_computed_for_a_tenth_of_a_second(void **state)
{
    (void) state;
    struct toy_job computing, next;
    open_executor(1, BOUND);
    init(&computing, cheap_cost);
    computing.computes = true;
    executor_submit(executor, &computing.job);
    executor_dispatch(executor, 0);
    wait_for(&computing.begun);
    sample_until_nothing_computes();
    assert_true(clock_ns(computing.cpu_clock) > PERMIT_NS);
    begin(&next, cheap_cost); /* while the first one goes on */
    atomic_store(&computing.is_over, true);
    sem_post(&next.end);
    close_executor();
}

static void a_job_that_was_known_to_sleep_and_computes_counts_and_gives_way(void **state)
{
    (void) state;
    struct toy_job awake, sleeper;
    open_executor(1, BOUND);
    begin(&sleeper, COST_SLEEPS);
    init(&awake, COST_SLEEPS);
    awake.computes = true;
    executor_submit(executor, &awake.job);
    executor_dispatch(executor, 0);
    wait_for(&awake.begun);
    while (executor_computing(executor) == 0) {
        executor_sample(executor);
        sched_yield();
    }
    assert_int_equal(executor_computing(executor), 1); /* and the other one is left alone */
    atomic_store(&awake.is_over, true);
    sem_post(&sleeper.end);
    close_executor();
}

/* ---- a thread that has lost its loop ---- */

static void a_call_that_has_lost_its_loop_counts_and_then_runs_what_waits(void **state)
{
    (void) state;
    struct toy_loop toy;
    struct toy_job waiting;
    open_executor(1, BOUND);
    init_loop(&toy);
    struct pool_thread *former = pool_get(pool, POOL_INTERACTIVE);
    struct pool_thread *owner = pool_get(pool, POOL_INTERACTIVE);
    pool_give_loop(former, &toy.loop, NULL);
    wait_for(&toy.owned);

    executor_adopt(executor, former, false);
    assert_int_equal(executor_computing(executor), 1);
    assert_true(pool_thread_is_background(former));
    init(&waiting, cheap_cost);
    assert_false(executor_submit(executor, &waiting.job));
    executor_dispatch(executor, 0);
    assert_int_equal(pool_threads(pool), 2); /* it got no thread */

    sem_post(&toy.end); /* the call is over */
    pool_give_loop(owner, &toy.loop, former);
    wait_for(&waiting.begun);
    assert_int_equal(executor_computing(executor), 1);
    assert_int_equal(pool_threads(pool), 2);
    sem_post(&waiting.end);
    sem_post(&toy.drain);
    close_executor();
}

static void calls_that_have_lost_their_loops_can_be_more_than_the_permits(void **state)
{
    (void) state;
    struct toy_loop toy;
    struct toy_job computing;
    open_executor(1, BOUND);
    init_loop(&toy);
    struct pool_thread *former = pool_get(pool, POOL_INTERACTIVE);
    pool_give_loop(former, &toy.loop, NULL);
    wait_for(&toy.owned);
    begin(&computing, cheap_cost);
    assert_false(executor_is_crowded(executor));
    executor_adopt(executor, former, false);
    assert_true(executor_is_crowded(executor));
    sem_post(&computing.end);
    sem_post(&toy.end);
    pool_give_loop(pool_get(pool, POOL_INTERACTIVE), &toy.loop, former);
    sem_post(&toy.drain);
    close_executor();
}

/* ---- the end ---- */

static void what_still_waits_at_the_end_is_released(void **state)
{
    (void) state;
    struct toy_job computing, jobs[6];
    open_executor(1, 1);
    begin(&computing, cheap_cost);
    for (int i = 0; i < 6; i++)
        init(&jobs[i], i % 3 == 0 ? COST_SLEEPS : i % 3 == 1 ? COST_UNKNOWN : cheap_cost);
    submit_all(jobs, 3);
    executor_dispatch(executor, 0); /* there is no thread: they wait in their queues */
    submit_all(&jobs[3], 3);        /* these in the inbox */
    assert_true(executor_is_busy(executor));
    /* The only thread has the lowest priority: the sleepers are not its work, the others are. */
    for (int i = 0; i < 6; i++)
        sem_post(&jobs[i].end);
    sem_post(&computing.end);
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, 0), 0);
    executor_free(executor);
    pool_free(pool);
    for (int i = 0; i < 6; i++) {
        bool sleeps = jobs[i].job.cost == COST_SLEEPS;
        assert_int_equal(jobs[i].released, sleeps);
        assert_int_equal(jobs[i].place == 0, sleeps);
    }
    executor_free(NULL);
}

static void what_was_never_dispatched_is_released_in_the_end(void **state)
{
    (void) state;
    struct toy_job jobs[6];
    open_executor(1, 1);
    for (int i = 0; i < 6; i++)
        init(&jobs[i], i % 3 == 0 ? COST_SLEEPS : i % 3 == 1 ? COST_UNKNOWN : cheap_cost);
    submit_all(jobs, 6);
    close_executor();
    for (int i = 0; i < 6; i++) {
        assert_int_equal(jobs[i].released, 1);
        assert_int_equal(jobs[i].place, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_jobs_compute_than_there_are_permits),
        cmocka_unit_test(submitting_says_when_the_monitor_is_needed),
        cmocka_unit_test(sleepers_need_no_permit),
        cmocka_unit_test(sleepers_leave_some_threads_to_newcomers),
        cmocka_unit_test(quick_jobs_are_run_in_what_the_loops_do_not_need_of_the_reserve),
        cmocka_unit_test(steps_need_no_permit_and_two_may_be_begun_for_each_core),
        cmocka_unit_test(steps_are_taken_when_all_else_hangs),
        cmocka_unit_test(a_step_has_the_priority_of_the_loops_however_long_it_computes),
        cmocka_unit_test(a_job_that_was_known_to_sleep_and_computes_counts_and_gives_way),
        cmocka_unit_test(the_cheaper_ones_begin_first),
        cmocka_unit_test(a_job_is_not_overtaken_for_ever),
        cmocka_unit_test(jobs_of_unknown_cost_begin_first),
        cmocka_unit_test(jobs_of_unknown_cost_get_one_thread_between_two_samples),
        cmocka_unit_test(a_job_that_sleeps_loses_its_permit_to_the_next_one),
        cmocka_unit_test(a_job_loses_its_permit_when_it_has_computed_for_a_tenth_of_a_second),
        cmocka_unit_test(a_call_that_has_lost_its_loop_counts_and_then_runs_what_waits),
        cmocka_unit_test(calls_that_have_lost_their_loops_can_be_more_than_the_permits),
        cmocka_unit_test(what_still_waits_at_the_end_is_released),
        cmocka_unit_test(what_was_never_dispatched_is_released_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
