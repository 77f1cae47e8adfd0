/*
 * test_monitor: a real monitor and pool with a toy loop, whose owner makes calls until its loop is
 * taken, or until the monitor has had the time to.
 *
 * Times are counted in the monitor's own samples, so that a busy machine changes nothing.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/engine/executor.h"
#include "server/engine/job.h"
#include "server/engine/loop.h"
#include "server/engine/monitor.h"
#include "server/engine/pool.h"
#include "server/engine/scaler.h"
#include "tests/unit/log_capture.h"

enum {
    STALL_MS = 1,
    LONG_STALL_MS = 100, /* more than a call that does nothing takes, whatever comes between */
    ENOUGH_MS = 300,     /* by the monitor's clock: for all that it might do */
};

struct toy_loop {
    struct loop loop; /* first */
    /* The first owner's calls. False: the loop was taken in one of them. */
    bool (*call)(struct toy_loop *toy);
    sem_t taken;           /* posted by the new owner */
    _Atomic bool is_taken; /* the same */
    sem_t end;             /* awaited by the owner at the end */
    /* What the new owner has found. */
    struct pool_thread *former;
    bool had_waited, was_background;
    unsigned begun_ms, taken_ms; /* the call and its end, by the monitor's clock */
};

static struct toy_loop toy;
static struct loop *const loops[] = {&toy.loop};
static struct scaler scaler;
static struct pool *pool;
static struct executor *executor;
static struct monitor *monitor;
static struct log_capture capture;

static void wait_for(sem_t *event)
{
    while (sem_wait(event) != 0)
        continue;
}

/* ---- what the threads do ---- */

static bool compute_until_taken(struct toy_loop *loop)
{
    uint64_t call = loop_begin_call(&loop->loop);
    while (!atomic_load(&loop->is_taken))
        continue;
    return loop_end_call(&loop->loop, call);
}

static bool sleep_until_taken(struct toy_loop *loop)
{
    loop->begun_ms = monitor_clock_ms(monitor);
    uint64_t call = loop_begin_call(&loop->loop);
    wait_for(&loop->taken);
    return loop_end_call(&loop->loop, call);
}

static bool compute_for_long(struct toy_loop *loop)
{
    uint64_t call = loop_begin_call(&loop->loop);
    unsigned begun_ms = monitor_clock_ms(monitor);
    while (monitor_clock_ms(monitor) - begun_ms < ENOUGH_MS)
        continue;
    return loop_end_call(&loop->loop, call);
}

static bool make_quick_calls(struct toy_loop *loop)
{
    unsigned begun_ms = monitor_clock_ms(monitor);
    while (monitor_clock_ms(monitor) - begun_ms < ENOUGH_MS)
        if (!loop_end_call(&loop->loop, loop_begin_call(&loop->loop)))
            return false;
    return true;
}

static void take_over(struct toy_loop *loop, struct pool_thread *from)
{
    loop->former = from;
    loop->taken_ms = monitor_clock_ms(monitor);
    loop->had_waited = pool_thread_stall(from)->has_waited;
    loop->was_background = pool_thread_is_background(from);
    pool_thread_let_go(from);
    atomic_store(&loop->is_taken, true);
    sem_post(&loop->taken);
}

static bool own(struct loop *loop, struct pool_thread *thread, struct pool_thread *from)
{
    struct toy_loop *mine = (struct toy_loop *) loop;
    atomic_store(&loop->owner_tid, pool_thread_self(thread)->tid);
    monitor_batch_begins(monitor, loop);
    if (from)
        take_over(mine, from);
    else if (!mine->call(mine))
        return false;
    monitor_batch_ends(loop);
    wait_for(&mine->end);
    return true;
}

static void ignore(void *context) { (void) context; }

static const struct pool_ops pool_ops = {.own = own, .lost = ignore, .fini = ignore};

struct toy_job {
    struct job job; /* first */
    sem_t begun;
};

static void run(struct job *job) { sem_post(&((struct toy_job *) job)->begun); }

static const struct job_ops job_ops = {.run = run, .release = run};

/* ---- the test's side ---- */

static void start_monitor(unsigned bound, unsigned stall_ms)
{
    toy = (struct toy_loop){0};
    sem_init(&toy.taken, 0, 0);
    sem_init(&toy.end, 0, 0);
    scaler = (struct scaler){0};
    scaler_init(&scaler, loops, 1, false);
    log_capture_init(&capture);
    pool = pool_new(bound, &pool_ops, capture.log);
    executor = executor_new(1, pool, &job_ops);
    struct monitor_config config = {
        .scaler = &scaler,
        .pool = pool,
        .executor = executor,
        .log = capture.log,
        .stall_ms = stall_ms,
    };
    monitor = monitor_start(&config);
    assert_non_null(monitor);
}

static struct pool_thread *start_owner(bool (*call)(struct toy_loop *toy))
{
    struct pool_thread *owner = pool_get(pool, POOL_INTERACTIVE);
    assert_non_null(owner);
    toy.call = call;
    pool_give_loop(owner, &toy.loop, NULL);
    return owner;
}

static void stop(void)
{
    sem_post(&toy.end);
    assert_int_equal(pool_stop(pool, CLOCK_NEVER, 0), 0);
    monitor_stop(monitor);
    log_capture_read(&capture);
}

static void free_all(void)
{
    monitor_free(monitor);
    monitor = NULL;
    executor_free(executor);
    pool_free(pool);
}

/* ---- the hand-over ---- */

static void a_loop_is_taken_from_an_owner_that_computes(void **state)
{
    (void) state;
    start_monitor(4, LONG_STALL_MS);
    struct pool_thread *owner = start_owner(compute_until_taken);
    wait_for(&toy.taken);
    assert_ptr_equal(toy.former, owner);
    assert_ptr_not_equal(toy.loop.owner, owner);
    assert_false(toy.had_waited);
    assert_true(toy.was_background); /* it computes on behind the others */
    stop();
    assert_int_equal(monitor_handovers(monitor), 1);
    assert_int_equal(log_capture_count(&capture, "No thread"), 0);
    free_all();
}

static void a_loop_is_taken_from_an_owner_that_sleeps(void **state)
{
    (void) state;
    start_monitor(4, LONG_STALL_MS);
    struct pool_thread *owner = start_owner(sleep_until_taken);
    stop();
    /* The kernel was asked: without that it would have taken ten times as long. */
    assert_true(toy.taken_ms - toy.begun_ms < 9 * LONG_STALL_MS);
    assert_ptr_equal(toy.former, owner);
    assert_true(toy.had_waited);
    assert_false(toy.was_background);
    assert_int_equal(monitor_handovers(monitor), 1);
    assert_int_equal(executor_computing(executor), 0);
    free_all();
}

static void a_loop_whose_calls_are_quick_is_left_alone(void **state)
{
    (void) state;
    start_monitor(4, LONG_STALL_MS);
    start_owner(make_quick_calls);
    stop();
    assert_int_equal(monitor_handovers(monitor), 0);
    assert_null(toy.former);
    free_all();
}

static void a_loop_stays_where_it_is_when_there_is_no_spare_and_that_is_logged_once(void **state)
{
    (void) state;
    start_monitor(1, STALL_MS);
    start_owner(compute_for_long);
    stop();
    assert_int_equal(monitor_handovers(monitor), 0);
    assert_int_equal(log_capture_count(&capture, "No thread to go on"), 1);
    assert_int_equal(log_capture_count(&capture, "1 threads at most"), 1);
    free_all();
}

/* ---- what loops may call ---- */

/* Also that the monitor's pass which has said so is over, with what it logs. */
static void await_calls(enum loop_calls calls)
{
    while (atomic_load(&toy.loop.may_call) != calls)
        sched_yield();
    for (unsigned said_ms = monitor_clock_ms(monitor); monitor_clock_ms(monitor) - said_ms < 2;)
        sched_yield();
}

static void a_loop_makes_no_call_that_could_not_be_handed_over(void **state)
{
    (void) state;
    struct pool_thread *threads[3];
    start_monitor(3, STALL_MS);
    monitor_batch_begins(monitor, &toy.loop);
    await_calls(LOOP_CALLS_NONE); /* there is no spare */
    pool_keep(pool, 2);
    await_calls(LOOP_CALLS_ALL);
    threads[0] = pool_get(pool, POOL_LOOP);
    await_calls(LOOP_CALLS_KNOWN); /* another has been started, and no more may be */
    threads[1] = pool_get(pool, POOL_LOOP);
    threads[2] = pool_get(pool, POOL_LOOP);
    assert_non_null(threads[2]);
    await_calls(LOOP_CALLS_NONE);
    pool_put_back(threads[0]);
    await_calls(LOOP_CALLS_KNOWN);
    pool_put_back(threads[1]);
    pool_put_back(threads[2]);
    await_calls(LOOP_CALLS_ALL);
    monitor_batch_ends(&toy.loop);
    stop();
    /* Twice if the monitor looks while pool_keep() starts threads in this one. */
    assert_true(log_capture_count(&capture, "No thread to go on") >= 1);
    free_all();
}

/* ---- sleeping and waking ---- */

/* Waits until the monitor's clock has stood still for a while: it sleeps, most likely. */
static void await_sleep(void)
{
    unsigned before_ms;
    do {
        before_ms = monitor_clock_ms(monitor);
        for (int64_t until_ms = clock_ms() + 30; clock_ms() < until_ms;)
            sched_yield();
    } while (monitor_clock_ms(monitor) != before_ms);
}

static void a_batch_wakes_the_monitor(void **state)
{
    (void) state;
    start_monitor(4, STALL_MS);
    await_sleep();
    unsigned asleep_ms = monitor_clock_ms(monitor);
    monitor_batch_begins(monitor, &toy.loop);
    while (monitor_clock_ms(monitor) == asleep_ms)
        sched_yield();
    monitor_batch_ends(&toy.loop);
    stop();
    free_all();
}

static void what_was_submitted_begins_when_the_monitor_is_woken(void **state)
{
    (void) state;
    struct toy_job jobs[2];
    start_monitor(4, STALL_MS);
    monitor_batch_begins(monitor, &toy.loop);
    for (int i = 0; i < 2; i++) {
        jobs[i] = (struct toy_job){.job.cost = i ? COST_SLEEPS : COST_COMPUTES};
        sem_init(&jobs[i].begun, 0, 0);
        assert_true(executor_submit(executor, &jobs[i].job));
        monitor_wake(monitor);
        wait_for(&jobs[i].begun);
        while (executor_computing(executor) > 0)
            sched_yield();
    }
    monitor_batch_ends(&toy.loop);
    stop();
    free_all();
}

/* As when a batch that submits begins and ends just before the monitor goes to sleep. */
static void what_was_submitted_begins_even_if_the_monitor_sleeps(void **state)
{
    (void) state;
    struct toy_job toy_job = {.job.cost = COST_SLEEPS};
    start_monitor(4, STALL_MS);
    sem_init(&toy_job.begun, 0, 0);
    await_sleep();
    assert_true(executor_submit(executor, &toy_job.job));
    monitor_wake(monitor);
    wait_for(&toy_job.begun);
    stop();
    free_all();
}

static void without_a_monitor_there_is_nothing_to_do(void **state)
{
    (void) state;
    struct loop loop = {0};
    monitor_batch_begins(NULL, &loop);
    monitor_expect(NULL);
    monitor_stop(NULL);
    monitor_free(NULL);
    assert_int_equal(monitor_clock_ms(NULL), 0);
    assert_int_equal(monitor_handovers(NULL), 0);
    assert_false(loop.is_in_batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_is_taken_from_an_owner_that_computes),
        cmocka_unit_test(a_loop_is_taken_from_an_owner_that_sleeps),
        cmocka_unit_test(a_loop_whose_calls_are_quick_is_left_alone),
        cmocka_unit_test(a_loop_stays_where_it_is_when_there_is_no_spare_and_that_is_logged_once),
        cmocka_unit_test(a_loop_makes_no_call_that_could_not_be_handed_over),
        cmocka_unit_test(a_batch_wakes_the_monitor),
        cmocka_unit_test(what_was_submitted_begins_when_the_monitor_is_woken),
        cmocka_unit_test(what_was_submitted_begins_even_if_the_monitor_sleeps),
        cmocka_unit_test(without_a_monitor_there_is_nothing_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
