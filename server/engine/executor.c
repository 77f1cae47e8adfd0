/* executor: who waits, who runs, and who has a permit. */
#include "server/engine/executor.h"

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

struct executor {
    struct pool *pool;
    const struct job_ops *ops;
    unsigned permits;       /* how many there are */
    struct inbox submitted; /* by any thread */
    _Atomic uint64_t jobs;  /* submitted so far */
    struct counter begun;   /* of these. Added to under `lock` */
    _Atomic unsigned taken; /* permits in use; may be more than there are. Written under `lock` */
    pthread_mutex_t lock;   /* guards all that follows. Lock order: this one, then the pool's */
    /* Wait for a permit. The key: until when they should have been answered, in microseconds. */
    struct heap computing;
    struct job_queue sleeping, unknown, quick; /* wait for nothing but a thread */
    struct permit_list held, watched;
    unsigned sleepers;  /* jobs begun that were known to sleep, and still seem to */
    unsigned newcomers; /* threads begun for them since the last sample */
};

static const struct job_ops *ops_of(const struct executor *executor, const struct job *job)
{
    return job->ops ? job->ops : executor->ops;
}

/* ---- who waits ---- */

static bool needs_permit(const struct job *job) { return job->cost >= COST_COMPUTES; }

bool executor_submit(struct executor *executor, struct job *job)
{
    bool is_free = !needs_permit(job);
    atomic_fetch_add_explicit(&executor->jobs, 1, memory_order_relaxed);
    /* From here on the job may be run at any time, and be gone. */
    bool was_empty = inbox_push(&executor->submitted, &job->node);
    /* Whoever gives a permit back looks into the inbox. */
    return is_free || (was_empty && atomic_load(&executor->taken) < executor->permits);
}

static struct job *take_first(struct job_queue *queue)
{
    struct job *job = STAILQ_FIRST(queue);
    if (job)
        STAILQ_REMOVE_HEAD(queue, entry);
    return job;
}

/* An expensive one may be overtaken by what comes in the time that it takes itself. */
static void wait_for_permit(struct executor *executor, struct job *job)
{
    int64_t until_us = clock_ms() * 1000 + cost_us(job->cost);
    job->place = (struct heap_item){0};
    heap_put(&executor->computing, &job->place, until_us);
}

static void sort_submitted(struct executor *executor)
{
    struct inbox_node *next;
    for (struct inbox_node *node = inbox_take_all(&executor->submitted); node; node = next) {
        struct job *job = (struct job *) node;
        next = node->next;
        /* Out of memory there is no order. */
        if (needs_permit(job) && heap_reserve(&executor->computing, executor->computing.count + 1))
            wait_for_permit(executor, job);
        else if (job->cost == COST_SLEEPS)
            STAILQ_INSERT_TAIL(&executor->sleeping, job, entry);
        else if (job->cost == COST_QUICK)
            STAILQ_INSERT_TAIL(&executor->quick, job, entry);
        else
            STAILQ_INSERT_TAIL(&executor->unknown, job, entry);
    }
}

static struct job *take_cheapest(struct executor *executor)
{
    struct heap_item *item = heap_take(&executor->computing, INT64_MAX);
    return item ? (struct job *) ((char *) item - offsetof(struct job, place)) : NULL;
}

/* The next job that may begin in a thread of the lowest priority: one of unknown cost may turn out
 * to compute. */
static struct job *take_computing(struct executor *executor)
{
    struct job *job = take_first(&executor->unknown);
    if (!job && executor->taken < executor->permits)
        job = take_cheapest(executor);
    if (job)
        executor->taken++;
    return job;
}

static bool may_begin_sleeping(const struct executor *executor)
{
    unsigned bound = pool_bound(executor->pool);
    return STAILQ_FIRST(&executor->sleeping) &&
           executor->sleepers < bound - bound / NEWCOMERS_SHARE;
}

static struct job *take_sleeping(struct executor *executor)
{
    executor->sleepers++;
    return take_first(&executor->sleeping);
}

/* ---- permits ---- */

/* Holds a permit that was counted. `now_ns` is the thread's CPU time. */
static void hold(struct executor *executor, struct permit *permit, int64_t now_ns)
{
    permit->is_held = true;
    permit->begun_ns = permit->seen_ns = now_ns;
    permit->still = 0;
    LIST_INSERT_HEAD(&executor->held, permit, entry);
}

/* Watches a sleeper that was counted. */
static void watch(struct executor *executor, struct permit *permit, int64_t now_ns)
{
    permit->is_watched = true;
    permit->begun_ns = now_ns;
    permit->still = 0;
    LIST_INSERT_HEAD(&executor->watched, permit, entry);
}

/* The thread is through, or neither computes nor sleeps any more. */
static void give_back(struct executor *executor, struct permit *permit)
{
    if (permit->is_held)
        executor->taken--;
    else if (permit->is_watched)
        executor->sleepers--;
    else
        return;
    permit->is_held = permit->is_watched = false;
    LIST_REMOVE(permit, entry);
}

/* ---- a thread that runs jobs ---- */

/* The next job for a thread that has none, with the lock held. */
static struct job *take_next(struct executor *executor, struct pool_thread *thread)
{
    give_back(executor, pool_thread_permit(thread));
    sort_submitted(executor);
    if (pool_thread_is_background(thread))
        return take_computing(executor);
    struct job *job = take_first(&executor->quick);
    if (job || pool_is_short(executor->pool) || !may_begin_sleeping(executor))
        return job; /* without one the thread may belong to the reserve */
    return take_sleeping(executor);
}

/* A job begins in this thread, or goes on in it. */
static void begin(struct executor *executor, struct pool_thread *thread, enum cost cost,
                  int64_t now_ns)
{
    if (cost == COST_SLEEPS)
        watch(executor, pool_thread_permit(thread), now_ns);
    else if (cost != COST_QUICK)
        hold(executor, pool_thread_permit(thread), now_ns);
}

/* Runs a job, then others, until none may begin. `job` is NULL if the thread comes from a call that
 * has lost its loop, which is over by now. */
static void run_jobs(void *user, struct pool_thread *thread, struct job *job)
{
    struct executor *executor = user;
    /* Before the lock is taken: from here on the others may keep it from running. */
    if (job && job->cost != COST_SLEEPS && job->cost != COST_QUICK &&
        !pool_thread_is_background(thread))
        pool_thread_set_background(thread);
    for (;;) {
        int64_t now_ns = clock_ns(pool_thread_self(thread)->cpu_clock);
        pthread_mutex_lock(&executor->lock);
        if (!job)
            job = take_next(executor, thread);
        if (job) {
            begin(executor, thread, job->cost, now_ns);
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
    pthread_mutex_lock(&executor->lock);
    if (is_asleep)
        executor->sleepers++;
    else
        executor->taken++;
    begin(executor, thread, is_asleep ? COST_SLEEPS : COST_COMPUTES, now_ns);
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
    give_back(executor, permit);
    executor->taken++;
    hold(executor, permit, now_ns);
}

void executor_sample(struct executor *executor)
{
    struct permit *next;
    pthread_mutex_lock(&executor->lock);
    for (struct permit *permit = LIST_FIRST(&executor->held); permit; permit = next) {
        next = LIST_NEXT(permit, entry);
        if (is_over_its_time(permit))
            give_back(executor, permit);
    }
    for (struct permit *permit = LIST_FIRST(&executor->watched); permit; permit = next) {
        next = LIST_NEXT(permit, entry);
        look_at_sleeper(executor, permit);
    }
    executor->newcomers = 0;
    pthread_mutex_unlock(&executor->lock);
}

static bool may_begin_computing(struct executor *executor)
{
    return STAILQ_FIRST(&executor->unknown)
               ? executor->newcomers++ < NEWCOMERS
               : executor->computing.count && executor->taken < executor->permits;
}

/* What gets no thread is taken by those that run when they are through. */
bool executor_dispatch(struct executor *executor, unsigned in_calls)
{
    struct pool_thread *thread;
    pthread_mutex_lock(&executor->lock);
    sort_submitted(executor);
    while (STAILQ_FIRST(&executor->quick) && pool_spares(executor->pool) > in_calls &&
           (thread = pool_get(executor->pool, POOL_LOOP)))
        pool_give_job(thread, take_first(&executor->quick));
    while (may_begin_sleeping(executor) && (thread = pool_get(executor->pool, POOL_INTERACTIVE)))
        pool_give_job(thread, take_sleeping(executor));
    while (may_begin_computing(executor) && (thread = pool_get(executor->pool, POOL_BACKGROUND)))
        pool_give_job(thread, take_computing(executor));
    bool is_left = STAILQ_FIRST(&executor->quick) || may_begin_sleeping(executor);
    pthread_mutex_unlock(&executor->lock);
    return !is_left;
}

bool executor_is_busy(struct executor *executor)
{
    pthread_mutex_lock(&executor->lock);
    bool is_busy = LIST_FIRST(&executor->held) || LIST_FIRST(&executor->watched) ||
                   STAILQ_FIRST(&executor->sleeping) || STAILQ_FIRST(&executor->unknown) ||
                   STAILQ_FIRST(&executor->quick) || executor->computing.count;
    pthread_mutex_unlock(&executor->lock);
    return is_busy;
}

bool executor_is_crowded(const struct executor *executor)
{
    return atomic_load(&executor->taken) > executor->permits;
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
    return atomic_load_explicit(&executor->taken, memory_order_relaxed);
}

/* ---- life ---- */

struct executor *executor_new(unsigned permits, struct pool *pool, const struct job_ops *ops)
{
    struct executor *executor = calloc(1, sizeof *executor);
    if (!executor)
        return NULL;
    executor->pool = pool;
    executor->ops = ops;
    executor->permits = permits;
    STAILQ_INIT(&executor->sleeping);
    STAILQ_INIT(&executor->unknown);
    STAILQ_INIT(&executor->quick);
    LIST_INIT(&executor->held);
    LIST_INIT(&executor->watched);
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
    while ((job = take_first(&executor->sleeping)) || (job = take_first(&executor->unknown)) ||
           (job = take_first(&executor->quick)) || (job = take_cheapest(executor)))
        ops_of(executor, job)->release(job);
    heap_fini(&executor->computing);
    pthread_mutex_destroy(&executor->lock);
    free(executor);
}
