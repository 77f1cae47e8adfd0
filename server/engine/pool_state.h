/*
 * pool_state: what the files of the pool share: the pool (pool_spares.c), and one of its threads
 * (pool_thread.c). Nobody else includes it.
 */
#ifndef BANTER_SERVER_ENGINE_POOL_STATE_H
#define BANTER_SERVER_ENGINE_POOL_STATE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/engine/cost.h"
#include "server/engine/permit.h"
#include "server/engine/pool.h"
#include "server/engine/thread.h"

enum kind { USUAL, BACKGROUND, KINDS }; /* of threads, by their priority */

struct pool_thread {
    struct pool *pool;
    struct thread self;            /* its tid is set by the thread itself, before all else */
    LIST_ENTRY(pool_thread) entry; /* among the spares or the ended. Guarded by pool->lock */
    pthread_cond_t given;          /* with pool->lock: one of the next two is set, or a stop */
    struct loop *loop;             /* given to it, not yet begun. Guarded by pool->lock */
    struct job *job;               /* instead of a loop. Guarded by pool->lock */
    struct pool_thread *from;      /* with a loop: whose it was. Guarded by pool->lock */
    bool is_spare;                 /* it is in a list of spares. Guarded by pool->lock */
    bool is_for_steps;             /* until it is a spare again. Guarded by pool->lock */
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
    int64_t patience_ms;    /* of spares */
    pthread_mutex_t lock;   /* guards all that follows. Lock order: this one, then the log's */
    pthread_cond_t changed; /* a thread has ended or come back from a call, or a loop has drained */
    struct pool_threads spares[KINDS]; /* the latest first */
    struct pool_threads ended;         /* to be joined */
    int64_t start_at_ms, log_at_ms;    /* when a thread may be started, a failure logged, again */
    /* These are written under the lock, and read by all. */
    _Atomic unsigned threads; /* that have not ended */
    _Atomic unsigned spare_counts[KINDS];
    _Atomic unsigned reserve; /* spares of the usual priority that are kept for loops */
    _Atomic unsigned steps;   /* the same for steps: of those that are kept, how many are in none */
    _Atomic unsigned calling; /* of the threads: in calls outside of the loops */
    unsigned loops;           /* given and not drained */
    unsigned ending;          /* threads that end by themselves */
    bool stopping;
    bool abandoned; /* a stop has not waited for all threads: those that end are joined by nobody */
};

/* ---- spares, with the lock held ---- */

static inline unsigned pool_count_spares(const struct pool *pool, enum kind kind)
{
    return atomic_load_explicit(&pool->spare_counts[kind], memory_order_relaxed);
}

static inline unsigned pool_count_kept_for_steps(const struct pool *pool)
{
    return atomic_load_explicit(&pool->steps, memory_order_relaxed);
}

/* How many spares of the usual priority are kept, for loops and for steps. */
static inline unsigned pool_count_kept(const struct pool *pool)
{
    return atomic_load_explicit(&pool->reserve, memory_order_relaxed) +
           pool_count_kept_for_steps(pool);
}

static inline enum kind pool_kind_of(const struct pool_thread *thread)
{
    return pool_thread_is_background(thread) ? BACKGROUND : USUAL;
}

static inline void pool_link_spare(struct pool_thread *thread)
{
    struct pool *pool = thread->pool;
    LIST_INSERT_HEAD(&pool->spares[pool_kind_of(thread)], thread, entry);
    pool->spare_counts[pool_kind_of(thread)]++;
    pool->steps += thread->is_for_steps;
    thread->is_spare = true;
    thread->is_for_steps = false;
}

static inline void pool_unlink_spare(struct pool_thread *thread)
{
    LIST_REMOVE(thread, entry);
    thread->pool->spare_counts[pool_kind_of(thread)]--;
    thread->is_spare = false;
}

/* ---- threads ---- */

/* A new thread, which waits to be given something: in no list, and counted by the caller. With the
 * lock held, so that it does nothing before this returns. NULL with errno set on failure. */
struct pool_thread *pool_thread_start(struct pool *pool);

/* Joins those that have ended, with the lock held, but not while it waits for one. */
void pool_join_ended(struct pool *pool);

/* With the lock held. */
void pool_wake_spares(struct pool *pool);

#endif
