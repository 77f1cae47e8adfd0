/* pool_spares: who is given something, the reserve, and the end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "server/engine/loop.h"
#include "server/engine/pool_state.h"
#include "server/log/log.h"

enum {
    PATIENCE_MS = 10000,
    START_AGAIN_MS = 100, /* when a thread has not started, none is tried for this long */
    LOG_AGAIN_MS = 1000,
    STOP_STEP_MS = 100, /* between two looks at the clock, which see that it has leapt */
};

unsigned pool_bound(const struct pool *pool) { return pool->bound; }

unsigned pool_threads(const struct pool *pool)
{
    return atomic_load_explicit(&pool->threads, memory_order_relaxed);
}

unsigned pool_calling(const struct pool *pool)
{
    return atomic_load_explicit(&pool->calling, memory_order_relaxed);
}

unsigned pool_spares(const struct pool *pool)
{
    unsigned spares = pool_count_spares(pool, USUAL), kept = pool_count_kept_for_steps(pool);
    return spares > kept ? spares - kept : 0;
}

bool pool_is_short(const struct pool *pool)
{
    return pool_count_spares(pool, USUAL) < pool_count_kept(pool);
}

/* Whether there could be one more thread beside those that are busy and those that are kept. */
static bool has_room_beside(const struct pool *pool, unsigned kept)
{
    return pool_count_spares(pool, USUAL) + pool->bound > kept + pool_threads(pool);
}

bool pool_has_room(const struct pool *pool) { return has_room_beside(pool, pool_count_kept(pool)); }

/* ---- spares ---- */

static void log_failure(struct pool *pool, int failure)
{
    int64_t now_ms = clock_ms();
    pool->start_at_ms = now_ms + START_AGAIN_MS;
    if (now_ms < pool->log_at_ms)
        return;
    pool->log_at_ms = now_ms + LOG_AGAIN_MS;
    log_tell(pool->log, LOG_THREAD_FAILED, 0, "%s", strerror(failure));
}

/* A new thread if the bound, the stop and the system allow one; with the lock held. */
static struct pool_thread *add_thread(struct pool *pool)
{
    /* Once the last loop has drained nothing is begun, and when the last thread has ended the pool
     * may be freed. */
    bool is_over = pool->stopping && pool->loops == 0;
    if (is_over || pool->threads >= pool->bound || clock_ms() < pool->start_at_ms)
        return NULL;
    pool->threads++;
    struct pool_thread *thread = pool_thread_start(pool);
    if (!thread) {
        log_failure(pool, errno);
        pool->threads--;
    }
    return thread;
}

static struct pool_thread *take_spare(struct pool *pool, enum kind kind)
{
    struct pool_thread *thread = LIST_FIRST(&pool->spares[kind]);
    if (thread)
        pool_unlink_spare(thread);
    return thread;
}

/* What is kept for steps, for one that finds no other thread. Those that are through are often kept
 * from their cores for a moment: if there were only these, the next steps would wait for them. */
static struct pool_thread *take_kept_for_steps(struct pool *pool)
{
    struct pool_thread *thread = pool->steps > 0 ? take_spare(pool, USUAL) : NULL;
    if (thread) {
        pool->steps--;
        thread->is_for_steps = true;
    }
    return thread;
}

struct pool_thread *pool_get(struct pool *pool, enum pool_use use)
{
    struct pool_thread *thread = NULL;
    pthread_mutex_lock(&pool->lock);
    unsigned kept = use == POOL_LOOP ? pool->steps : pool_count_kept(pool);
    if (use == POOL_BACKGROUND)
        thread = take_spare(pool, BACKGROUND);
    if (!thread && pool_count_spares(pool, USUAL) > kept)
        thread = take_spare(pool, USUAL);
    if (!thread && has_room_beside(pool, kept))
        thread = add_thread(pool);
    if (!thread && use == POOL_STEP)
        thread = take_kept_for_steps(pool);
    pthread_mutex_unlock(&pool->lock);
    return thread;
}

void pool_refill(struct pool *pool)
{
    struct pool_thread *thread;
    if (!pool_is_short(pool))
        return;
    pthread_mutex_lock(&pool->lock);
    while (pool_is_short(pool) && (thread = add_thread(pool)))
        pool_link_spare(thread);
    pthread_mutex_unlock(&pool->lock);
}

void pool_keep(struct pool *pool, unsigned reserve)
{
    pool->reserve = reserve;
    pool_refill(pool);
}

void pool_keep_for_steps(struct pool *pool, unsigned count)
{
    pool->steps = count;
    pool_refill(pool);
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
    pool_link_spare(thread);
    pthread_cond_signal(&thread->given); /* it may end now, or begin to wait for that */
    pthread_mutex_unlock(&pool->lock);
}

/* ---- the pool's life ---- */

struct pool *pool_new(unsigned bound, const struct pool_ops *ops, struct log *log)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->bound = bound;
    pool->patience_ms = PATIENCE_MS;
    pool->ops = ops;
    pool->log = log;
    for (enum kind kind = USUAL; kind < KINDS; kind++)
        LIST_INIT(&pool->spares[kind]);
    LIST_INIT(&pool->ended);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    return pool;
}

void pool_set_patience(struct pool *pool, int64_t ms) { pool->patience_ms = ms; }

void pool_set_work(struct pool *pool,
                   void (*work)(void *user, struct pool_thread *thread, struct job *job),
                   void *user)
{
    pool->work = work;
    pool->work_user = user;
}

/* How many neither are spares nor end by themselves, with the lock held. */
static unsigned count_busy(const struct pool *pool)
{
    return pool->threads - pool->ending - pool_count_spares(pool, USUAL) -
           pool_count_spares(pool, BACKGROUND);
}

/* Waits for a change, with the lock held. Returns for how long the whole process has stood still
 * meanwhile, as far as can be seen. */
static int64_t wait_for_change(struct pool *pool, int64_t until_ms)
{
    if (until_ms == CLOCK_NEVER) {
        pthread_cond_wait(&pool->changed, &pool->lock);
        return 0;
    }
    int64_t step_ms = clock_ms() + STOP_STEP_MS;
    int64_t at_ms = until_ms < step_ms ? until_ms : step_ms;
    struct timespec at = clock_timespec(at_ms);
    pthread_cond_clockwait(&pool->changed, &pool->lock, CLOCK_MONOTONIC, &at);
    return clock_paused_ms(clock_ms(), at_ms);
}

unsigned pool_stop(struct pool *pool, int64_t deadline_ms, int64_t grace_ms)
{
    unsigned left;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pool_wake_spares(pool);
    while (left = count_busy(pool), pool->threads > 0) {
        int64_t until_ms = deadline_ms + (pool->loops > 0 ? grace_ms : 0);
        if (deadline_ms == CLOCK_NEVER || left == 0)
            until_ms = CLOCK_NEVER;
        else if (clock_ms() >= until_ms)
            break;
        int64_t paused_ms = wait_for_change(pool, until_ms);
        if (deadline_ms != CLOCK_NEVER)
            deadline_ms += paused_ms;
    }
    pool_join_ended(pool);
    pool->abandoned = left > 0;
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
