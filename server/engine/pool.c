/* pool: threads, spares, and their end. */
#include "server/engine/pool.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/engine/loop.h"
#include "server/log/log.h"

enum { SPARE_PATIENCE_S = 10 };

struct pool_thread {
    struct pool *pool;
    struct thread self;            /* its tid is set by the thread itself, before all else */
    LIST_ENTRY(pool_thread) entry; /* among the spares or the ended. Guarded by pool->lock */
    pthread_cond_t given;          /* with pool->lock: one of the next two is set, or a stop */
    struct loop *loop;             /* given to it, not yet begun. Guarded by pool->lock */
    struct job *job;               /* instead of a loop. Guarded by pool->lock */
    struct pool_thread *from;      /* with a loop: whose it was. Guarded by pool->lock */
    bool is_spare;                 /* it is in a list of spares. Guarded by pool->lock */
    _Atomic bool is_background;
    sem_t let_go; /* posted when a new owner has read the context */
    struct call_sample stall;
    struct permit permit;
    _Alignas(max_align_t) char context[];
};

LIST_HEAD(pool_threads, pool_thread);

struct pool {
    const struct pool_ops *ops;
    void (*work)(void *user, struct pool_thread *thread, struct job *job);
    void *work_user;
    struct log *log;
    unsigned bound;
    pthread_mutex_t lock;   /* guards all that follows. Lock order: this one, then the log's */
    pthread_cond_t changed; /* a thread has ended or come back from a call, or a loop has drained */
    struct pool_threads spares[POOL_BACKGROUND + 1]; /* for each use; the latest first */
    struct pool_threads ended;                       /* to be joined */
    _Atomic unsigned threads; /* that have not ended. Written under the lock, read by all */
    unsigned calling;         /* of them: in calls outside of the loops */
    unsigned loops;           /* given and not drained */
    bool stopping;
};

/* ---- about a thread ---- */

void *pool_thread_context(struct pool_thread *thread) { return thread->context; }

const struct thread *pool_thread_self(const struct pool_thread *thread) { return &thread->self; }

struct call_sample *pool_thread_stall(struct pool_thread *thread) { return &thread->stall; }

struct permit *pool_thread_permit(struct pool_thread *thread) { return &thread->permit; }

bool pool_thread_is_background(const struct pool_thread *thread)
{
    return atomic_load_explicit(&thread->is_background, memory_order_relaxed);
}

void pool_thread_set_background(struct pool_thread *thread)
{
    atomic_store_explicit(&thread->is_background, true, memory_order_relaxed);
    thread_sched_background(thread->self.tid);
}

void pool_thread_let_go(struct pool_thread *thread) { sem_post(&thread->let_go); }

unsigned pool_bound(const struct pool *pool) { return pool->bound; }

unsigned pool_threads(const struct pool *pool)
{
    return atomic_load_explicit(&pool->threads, memory_order_relaxed);
}

/* ---- a thread's life ---- */

static void free_thread(struct pool_thread *thread)
{
    thread->pool->ops->fini(thread->context);
    pthread_cond_destroy(&thread->given);
    sem_destroy(&thread->let_go);
    free(thread);
}

static void link_spare(struct pool_thread *thread)
{
    enum pool_use use = pool_thread_is_background(thread) ? POOL_BACKGROUND : POOL_INTERACTIVE;
    LIST_INSERT_HEAD(&thread->pool->spares[use], thread, entry);
    thread->is_spare = true;
}

static void unlink_spare(struct pool_thread *thread)
{
    LIST_REMOVE(thread, entry);
    thread->is_spare = false;
}

/* Waits as a spare, with the lock held. True: it was given a loop or a job. False: nobody needs
 * this thread. One that is no spare was picked: it will be given something, or be put back. */
static bool wait_for_work(struct pool_thread *thread)
{
    struct pool *pool = thread->pool;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SPARE_PATIENCE_S;
    bool late = false;
    while (!thread->loop && !thread->job) {
        if ((late || pool->stopping) && thread->is_spare) {
            unlink_spare(thread);
            return false;
        }
        late = pthread_cond_clockwait(&thread->given, &pool->lock, CLOCK_MONOTONIC, &until) != 0;
    }
    return true;
}

/* The loop was taken during a call, which is over. */
static void leave_call(struct pool_thread *thread)
{
    while (sem_wait(&thread->let_go) != 0)
        continue;
    thread->pool->ops->lost(thread->context);
}

/* Joins those that have ended, with the lock held, but not while it waits for one. */
static void join_ended(struct pool *pool)
{
    struct pool_thread *thread;
    while ((thread = LIST_FIRST(&pool->ended))) {
        LIST_REMOVE(thread, entry);
        pthread_mutex_unlock(&pool->lock);
        pthread_join(thread->self.id, NULL);
        free_thread(thread);
        pthread_mutex_lock(&pool->lock);
    }
}

/* Does what the thread was given. Returns whether it was a loop that has drained. */
static bool do_work(struct pool_thread *thread, struct loop *loop, struct pool_thread *from,
                    struct job *job)
{
    struct pool *pool = thread->pool;
    if (loop && pool->ops->own(loop, thread, from))
        return true;
    if (loop)
        leave_call(thread);
    pool->work(pool->work_user, thread, job);
    return false;
}

static void *run_thread(void *argument)
{
    struct pool_thread *thread = argument;
    struct pool *pool = thread->pool;
    pthread_mutex_lock(&pool->lock);
    thread->self.tid = gettid();
    while (wait_for_work(thread)) {
        struct loop *loop = thread->loop;
        struct job *job = thread->job;
        struct pool_thread *from = thread->from;
        thread->loop = NULL;
        thread->job = NULL;
        pthread_mutex_unlock(&pool->lock);
        bool has_drained = do_work(thread, loop, from, job);
        pthread_mutex_lock(&pool->lock);
        if (has_drained)
            pool->loops--;
        else
            pool->calling--;
        pthread_cond_broadcast(&pool->changed);
        link_spare(thread);
    }
    join_ended(pool); /* whoever ends does, so that they don't pile up */
    LIST_INSERT_HEAD(&pool->ended, thread, entry);
    pool->threads--;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- spares ---- */

/* A new thread, counted, and waiting, but not among the spares. With the lock held, so that it does
 * nothing before this returns. */
static struct pool_thread *start_thread(struct pool *pool)
{
    struct pool_thread *thread = calloc(1, sizeof *thread + pool->ops->context_bytes);
    int failure = ENOMEM;
    if (thread) {
        thread->pool = pool;
        thread->permit.thread = &thread->self;
        sem_init(&thread->let_go, 0, 0);
        pthread_cond_init(&thread->given, NULL);
        failure = pthread_create(&thread->self.id, NULL, run_thread, thread);
    }
    if (failure) {
        log_tell(pool->log, LOG_THREAD_FAILED, 0, "%s", strerror(failure));
        if (thread)
            free_thread(thread);
        return NULL;
    }
    pthread_getcpuclockid(thread->self.id, &thread->self.cpu_clock);
    return thread;
}

static struct pool_thread *take_spare(struct pool *pool, enum pool_use use)
{
    struct pool_thread *thread = LIST_FIRST(&pool->spares[use]);
    if (thread)
        unlink_spare(thread);
    return thread;
}

struct pool_thread *pool_get(struct pool *pool, enum pool_use use)
{
    pthread_mutex_lock(&pool->lock);
    struct pool_thread *thread = take_spare(pool, use);
    if (!thread && use == POOL_BACKGROUND)
        thread = take_spare(pool, POOL_INTERACTIVE);
    /* Once a stop has seen the last thread end, the pool may be freed at any time. */
    bool is_over = pool->stopping && pool->threads == 0;
    if (!thread && pool->threads < pool->bound && !is_over) {
        pool->threads++;
        thread = start_thread(pool);
        if (!thread)
            pool->threads--;
    }
    if (!thread) /* better slow than not at all */
        thread = take_spare(pool, POOL_BACKGROUND);
    pthread_mutex_unlock(&pool->lock);
    return thread;
}

void pool_give_loop(struct pool_thread *thread, struct loop *loop, struct pool_thread *from)
{
    struct pool *pool = thread->pool;
    loop->owner = thread;
    loop->owner_clock = thread->self.cpu_clock;
    pthread_mutex_lock(&pool->lock);
    thread->loop = loop;
    thread->from = from;
    if (from)
        pool->calling++;
    else
        pool->loops++;
    pthread_cond_signal(&thread->given);
    pthread_mutex_unlock(&pool->lock);
}

void pool_give_job(struct pool_thread *thread, struct job *job)
{
    struct pool *pool = thread->pool;
    pthread_mutex_lock(&pool->lock);
    thread->job = job;
    pool->calling++;
    pthread_cond_signal(&thread->given);
    pthread_mutex_unlock(&pool->lock);
}

void pool_put_back(struct pool_thread *thread)
{
    struct pool *pool = thread->pool;
    pthread_mutex_lock(&pool->lock);
    link_spare(thread);
    if (pool->stopping)
        pthread_cond_signal(&thread->given);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- the pool's life ---- */

struct pool *pool_new(unsigned bound, const struct pool_ops *ops, struct log *log)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->bound = bound;
    pool->ops = ops;
    pool->log = log;
    for (enum pool_use use = POOL_INTERACTIVE; use <= POOL_BACKGROUND; use++)
        LIST_INIT(&pool->spares[use]);
    LIST_INIT(&pool->ended);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    return pool;
}

void pool_set_work(struct pool *pool,
                   void (*work)(void *user, struct pool_thread *thread, struct job *job),
                   void *user)
{
    pool->work = work;
    pool->work_user = user;
}

static void wait_until(struct pool *pool, int64_t at_ms)
{
    struct timespec until = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
    if (at_ms == CLOCK_NEVER)
        pthread_cond_wait(&pool->changed, &pool->lock);
    else
        pthread_cond_clockwait(&pool->changed, &pool->lock, CLOCK_MONOTONIC, &until);
}

unsigned pool_stop(struct pool *pool, int64_t deadline_ms, int64_t grace_ms)
{
    int64_t last_ms = deadline_ms == CLOCK_NEVER ? CLOCK_NEVER : deadline_ms + grace_ms;
    struct pool_thread *spare;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    for (enum pool_use use = POOL_INTERACTIVE; use <= POOL_BACKGROUND; use++)
        LIST_FOREACH(spare, &pool->spares[use], entry)
            pthread_cond_signal(&spare->given);
    while (pool->threads > 0) {
        bool only_calls = pool->loops == 0 && pool->threads == pool->calling;
        int64_t until_ms = only_calls ? deadline_ms : last_ms;
        if (until_ms != CLOCK_NEVER && clock_ms() >= until_ms)
            break;
        wait_until(pool, until_ms);
    }
    unsigned left = pool->threads;
    join_ended(pool);
    pthread_mutex_unlock(&pool->lock);
    return left;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
