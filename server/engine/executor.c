/* executor: who waits, who runs, and who has a permit. */
#include "server/engine/executor.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/counter.h"
#include "server/engine/cost.h"
#include "server/engine/heap.h"
#include "server/engine/inbox.h"
#include "server/engine/job.h"
#include "server/engine/permit.h"
#include "server/engine/pool.h"
#include "server/engine/thread.h"

/* How much CPU time a job may have before it shares its core with the next one. */
#define PERMIT_NS (100 * INT64_C(1000000))
/* A job that has used less than this between two samples has not computed. */
#define STILL_NS (INT64_C(100000))

/* A call that was known to sleep and has used this much CPU time computes. */
#define AWAKE_NS (4 * INT64_C(1000000))

/* At most this many samples lie between two looks at a call that sleeps. */
enum { WATCH_SAMPLES = 64 };

/* One in this many of the pool's threads is kept for newcomers. */
enum { NEWCOMERS_SHARE = 8 };

/* How many threads are begun between two samples for jobs of unknown cost. Most of them are quick,
 * and done by the threads that are there before another one is needed. If they are not, making
 * sixty threads as fast as can be would keep the cores from the loops for longer than all else. */
enum { NEWCOMERS = 1 };

/* Steps that may be begun for each core. Whoever submits them keeps to one, but has the next one at
 * once when one is through, while its thread, which has only woken somebody, may wait for a core.
 */
enum { STEPS_A_CORE = 2 };

/* Jobs that are treated alike, by what is known of their cost. */
enum {
    STEPS,
    QUICK,
    SLEEPING,
    COMPUTING, /* or may, since nothing is known of it */
    LANES,
};

struct lane {
    struct job_queue waiting;   /* for nothing but a thread */
    struct permit_list running; /* those of the threads that have begun one */
    unsigned most;              /* that may be begun; there may be more */
    _Atomic unsigned count;     /* that run, or were given a thread. Written under `lock` */
};

struct executor {
    struct pool *pool;
    const struct job_ops *ops;
    struct inbox submitted; /* by any thread */
    _Atomic uint64_t jobs;  /* submitted so far */
    struct counter begun;   /* of these. Added to under `lock` */
    pthread_mutex_t lock;   /* guards all that follows. Lock order: this one, then the pool's */
    struct lane lanes[LANES];
    /* Are known to compute, and wait for a permit. The key: until when they should have been
     * answered, in microseconds. */
    struct heap costly;
    unsigned newcomers; /* threads begun for those of unknown cost since the last sample */
};

static const struct job_ops *ops_of(const struct executor *executor, const struct job *job)
{
    return job->ops ? job->ops : executor->ops;
}

/* ---- who waits ---- */

static bool needs_permit(const struct job *job) { return job->cost >= COST_COMPUTES; }

static struct lane *lane_of(struct executor *executor, enum cost cost)
{
    switch (cost) {
    case COST_STEP:
        return &executor->lanes[STEPS];
    case COST_QUICK:
        return &executor->lanes[QUICK];
    case COST_SLEEPS:
        return &executor->lanes[SLEEPING];
    default:
        return &executor->lanes[COMPUTING];
    }
}

static bool has_room(const struct lane *lane) { return lane->count < lane->most; }

bool executor_submit(struct executor *executor, struct job *job)
{
    bool is_free = !needs_permit(job);
    atomic_fetch_add_explicit(&executor->jobs, 1, memory_order_relaxed);
    /* From here on the job may be run at any time, and be gone. */
    bool was_empty = inbox_push(&executor->submitted, &job->node);
    /* Whoever gives a permit back looks into the inbox. */
    return is_free || (was_empty && has_room(&executor->lanes[COMPUTING]));
}

/* An expensive one may be overtaken by what comes in the time that it takes itself. */
static void wait_for_permit(struct executor *executor, struct job *job)
{
    int64_t until_us = clock_ms() * 1000 + cost_us(job->cost);
    job->place = (struct heap_item){0};
    heap_put(&executor->costly, &job->place, until_us);
}

static void sort_submitted(struct executor *executor)
{
    struct inbox_node *next;
    for (struct inbox_node *node = inbox_take_all(&executor->submitted); node; node = next) {
        struct job *job = (struct job *) node;
        next = node->next;
        /* Out of memory there is no order. */
        if (needs_permit(job) && heap_reserve(&executor->costly, executor->costly.count + 1))
            wait_for_permit(executor, job);
        else
            STAILQ_INSERT_TAIL(&lane_of(executor, job->cost)->waiting, job, entry);
    }
}

/* ---- who may begin, and is counted from then on ---- */

static bool may_begin(const struct lane *lane)
{
    return STAILQ_FIRST(&lane->waiting) && has_room(lane);
}

/* The first one that waits for nothing but a thread. */
static struct job *take_first(struct lane *lane)
{
    struct job *job = STAILQ_FIRST(&lane->waiting);
    if (!job)
        return NULL;
    STAILQ_REMOVE_HEAD(&lane->waiting, entry);
    lane->count++;
    return job;
}

static struct job *take_cheapest(struct executor *executor)
{
    struct heap_item *item = heap_take(&executor->costly, INT64_MAX);
    if (!item)
        return NULL;
    executor->lanes[COMPUTING].count++;
    return (struct job *) ((char *) item - offsetof(struct job, place));
}

/* The next job that may begin in a thread of the lowest priority: one of unknown cost may turn out
 * to compute. */
static struct job *take_computing(struct executor *executor)
{
    struct lane *lane = &executor->lanes[COMPUTING];
    struct job *job = take_first(lane);
    return job || !has_room(lane) ? job : take_cheapest(executor);
}

/* ---- permits ---- */

/* The thread has begun a job that was counted. `now_ns` is its CPU time. */
static void hold(struct lane *lane, struct permit *permit, int64_t now_ns)
{
    permit->lane = lane;
    permit->begun_ns = permit->seen_ns = now_ns;
    permit->still = 0;
    LIST_INSERT_HEAD(&lane->running, permit, entry);
}

/* The thread is through, or its job counts no more. */
static void give_back(struct permit *permit)
{
    if (!permit->lane)
        return;
    permit->lane->count--;
    permit->lane = NULL;
    LIST_REMOVE(permit, entry);
}

/* ---- a thread that runs jobs ---- */

/* The next job for a thread that has none, with the lock held. */
static struct job *take_next(struct executor *executor, struct pool_thread *thread)
{
    struct lane *steps = &executor->lanes[STEPS], *sleeping = &executor->lanes[SLEEPING];
    bool is_for_steps = pool_thread_permit(thread)->lane == steps;
    give_back(pool_thread_permit(thread));
    sort_submitted(executor);
    if (is_for_steps) /* what is kept for them has to be theirs again */
        return take_first(steps);
    if (pool_thread_is_background(thread))
        return take_computing(executor);
    struct job *job = take_first(&executor->lanes[QUICK]);
    if (job || pool_is_short(executor->pool) || !may_begin(sleeping))
        return job; /* without one the thread may belong to the reserve */
    return take_first(sleeping);
}

/* Runs a job, then others, until none may begin. `job` is NULL if the thread comes from a call that
 * has lost its loop, which is over by now. */
static void run_jobs(void *user, struct pool_thread *thread, struct job *job)
{
    struct executor *executor = user;
    /* Before the lock is taken: from here on the others may keep it from running. */
    if (job && lane_of(executor, job->cost) == &executor->lanes[COMPUTING] &&
        !pool_thread_is_background(thread))
        pool_thread_set_background(thread);
    for (;;) {
        int64_t now_ns = clock_ns(pool_thread_self(thread)->cpu_clock);
        pthread_mutex_lock(&executor->lock);
        if (!job)
            job = take_next(executor, thread);
        if (job) {
            hold(lane_of(executor, job->cost), pool_thread_permit(thread), now_ns);
            counter_add(&executor->begun, 1);
        }
        pthread_mutex_unlock(&executor->lock);
        if (!job)
            return;
        ops_of(executor, job)->run(job);
        job = NULL;
    }
}

/* ---- the monitor ---- */

void executor_adopt(struct executor *executor, struct pool_thread *thread, bool is_asleep)
{
    int64_t now_ns = clock_ns(pool_thread_self(thread)->cpu_clock);
    if (!is_asleep)
        pool_thread_set_background(thread);
    struct lane *lane = &executor->lanes[is_asleep ? SLEEPING : COMPUTING];
    pthread_mutex_lock(&executor->lock);
    lane->count++;
    hold(lane, pool_thread_permit(thread), now_ns);
    pthread_mutex_unlock(&executor->lock);
}

/* Whether a job no longer uses its core, or has had it long enough. Asking /proc is expensive, and
 * when many share the cores most of them show no progress at any one sample. So the longer one
 * shows none the more rarely it is asked for: at the first such sample, the second, the fourth. */
static bool is_over_its_time(struct permit *permit)
{
    int64_t now_ns = clock_ns(permit->thread->cpu_clock);
    permit->still = now_ns - permit->seen_ns < STILL_NS ? permit->still + 1 : 0;
    permit->seen_ns = now_ns;
    if (now_ns - permit->begun_ns > PERMIT_NS)
        return true;
    return permit->still && (permit->still & (permit->still - 1)) == 0 &&
           thread_is_asleep(permit->thread->tid);
}

/* A call that sleeps is looked at more and more rarely, since there may be hundreds. If it computes
 * it gives way to the others from now on. */
static void look_at_sleeper(struct executor *executor, struct permit *permit)
{
    unsigned samples = ++permit->still;
    if ((samples & (samples - 1)) != 0 && samples % WATCH_SAMPLES != 0)
        return;
    int64_t now_ns = clock_ns(permit->thread->cpu_clock);
    if (now_ns - permit->begun_ns < AWAKE_NS)
        return;
    pool_thread_set_background(pool_thread_of_permit(permit));
    give_back(permit);
    executor->lanes[COMPUTING].count++;
    hold(&executor->lanes[COMPUTING], permit, now_ns);
}

void executor_sample(struct executor *executor)
{
    struct lane *computing = &executor->lanes[COMPUTING], *sleeping = &executor->lanes[SLEEPING];
    struct permit *permit, *next;
    pthread_mutex_lock(&executor->lock);
    for (permit = LIST_FIRST(&computing->running); permit; permit = next) {
        next = LIST_NEXT(permit, entry);
        if (is_over_its_time(permit))
            give_back(permit);
    }
    for (permit = LIST_FIRST(&sleeping->running); permit; permit = next) {
        next = LIST_NEXT(permit, entry);
        look_at_sleeper(executor, permit);
    }
    executor->newcomers = 0;
    pthread_mutex_unlock(&executor->lock);
}

static bool may_begin_computing(struct executor *executor)
{
    const struct lane *lane = &executor->lanes[COMPUTING];
    return STAILQ_FIRST(&lane->waiting) ? executor->newcomers++ < NEWCOMERS
                                        : executor->costly.count && has_room(lane);
}

/* What gets no thread is taken by those that run when they are through. */
bool executor_dispatch(struct executor *executor, unsigned in_calls)
{
    struct pool *pool = executor->pool;
    struct lane *steps = &executor->lanes[STEPS], *quick = &executor->lanes[QUICK],
                *sleeping = &executor->lanes[SLEEPING];
    struct pool_thread *thread;
    pthread_mutex_lock(&executor->lock);
    sort_submitted(executor);
    while (may_begin(steps) && (thread = pool_get(pool, POOL_STEP)))
        pool_give_job(thread, take_first(steps));
    while (may_begin(quick) && pool_spares(pool) > in_calls && (thread = pool_get(pool, POOL_LOOP)))
        pool_give_job(thread, take_first(quick));
    while (may_begin(sleeping) && (thread = pool_get(pool, POOL_INTERACTIVE)))
        pool_give_job(thread, take_first(sleeping));
    while (may_begin_computing(executor) && (thread = pool_get(pool, POOL_BACKGROUND)))
        pool_give_job(thread, take_computing(executor));
    bool is_left = may_begin(steps) || may_begin(quick) || may_begin(sleeping);
    pthread_mutex_unlock(&executor->lock);
    return !is_left;
}

bool executor_is_busy(struct executor *executor)
{
    pthread_mutex_lock(&executor->lock);
    bool is_busy = executor->costly.count > 0;
    for (int i = 0; i < LANES; i++)
        is_busy |= executor->lanes[i].count || STAILQ_FIRST(&executor->lanes[i].waiting);
    pthread_mutex_unlock(&executor->lock);
    return is_busy;
}

bool executor_is_crowded(const struct executor *executor)
{
    const struct lane *lane = &executor->lanes[COMPUTING];
    return atomic_load(&lane->count) > lane->most;
}

uint64_t executor_submitted(const struct executor *executor)
{
    return atomic_load_explicit(&executor->jobs, memory_order_relaxed);
}

unsigned executor_waiting(const struct executor *executor)
{
    uint64_t begun = counter_get(&executor->begun); /* first: it never overtakes the other */
    return (unsigned) (executor_submitted(executor) - begun);
}

unsigned executor_computing(const struct executor *executor)
{
    return atomic_load_explicit(&executor->lanes[COMPUTING].count, memory_order_relaxed);
}

/* ---- life ---- */

static void open_lane(struct lane *lane, unsigned most)
{
    STAILQ_INIT(&lane->waiting);
    LIST_INIT(&lane->running);
    lane->most = most;
}

struct executor *executor_new(unsigned permits, struct pool *pool, const struct job_ops *ops)
{
    struct executor *executor = calloc(1, sizeof *executor);
    if (!executor)
        return NULL;
    executor->pool = pool;
    executor->ops = ops;
    unsigned bound = pool_bound(pool);
    open_lane(&executor->lanes[STEPS], STEPS_A_CORE * permits);
    open_lane(&executor->lanes[QUICK], UINT_MAX);
    open_lane(&executor->lanes[SLEEPING], bound - bound / NEWCOMERS_SHARE);
    open_lane(&executor->lanes[COMPUTING], permits);
    pthread_mutex_init(&executor->lock, NULL);
    pool_set_work(pool, run_jobs, executor);
    return executor;
}

void executor_free(struct executor *executor)
{
    if (!executor)
        return;
    sort_submitted(executor);
    struct job *job;
    for (int i = 0; i < LANES; i++)
        while ((job = take_first(&executor->lanes[i])))
            ops_of(executor, job)->release(job);
    while ((job = take_cheapest(executor)))
        ops_of(executor, job)->release(job);
    heap_fini(&executor->costly);
    pthread_mutex_destroy(&executor->lock);
    free(executor);
}
