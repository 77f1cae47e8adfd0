/*
 * pool: the server's threads. Each one owns a loop, or is in a call whose loop was taken from it,
 * or runs the executor's jobs, or is a spare that waits to be given something.
 *
 * A thread that ran a CPU-heavy job has been reniced to the lowest priority, which can't be undone
 * without privilege; so it never owns a loop again, and only a few of them are kept as spares.
 *
 * Spares are made on demand, up to a bound, and end when they have not been needed for ten seconds.
 * Some are kept in reserve, for loops alone: threads that exist, since a new one may fail to start.
 * So calls that hang, however many, never take the thread that a loop needs to go on. Others are
 * kept for steps in the same way; neither use takes what is kept for the other.
 *
 * What a thread does is its user's (struct pool_ops); the pool knows neither requests nor sessions.
 */
#ifndef BANTER_SERVER_ENGINE_POOL_H
#define BANTER_SERVER_ENGINE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/engine/cost.h"
#include "server/engine/permit.h"
#include "server/engine/thread.h"

struct job;
struct log;
struct loop;
struct pool;
struct pool_thread;

/* What the pool's user does in its threads. All are called in the thread itself, but for fini(). */
struct pool_ops {
    /* How many bytes of the user's each thread has, all zero at first. */
    size_t context_bytes;

    /* Owns the loop until it has drained (true), or until it was taken in a call (false): then the
     * loop belongs to another thread, and this one must not touch it any more. `from` is the thread
     * from which the loop was taken; NULL when the loop first starts. A new owner calls
     * pool_thread_let_go(from) when it has read what it needs of that thread's context. */
    bool (*own)(struct loop *loop, struct pool_thread *thread, struct pool_thread *from);

    /* The call of a thread that has lost its loop is over, and the new owner has let it go. */
    void (*lost)(void *context);

    /* The thread has ended, and its context goes. */
    void (*fini)(void *context);
};

/* A pool of at most `bound` threads. `ops` and `log` outlive it. NULL: out of memory. */
struct pool *pool_new(unsigned bound, const struct pool_ops *ops, struct log *log);

/* How long a spare waits until it ends because nobody needs it; 10 s unless this is called, before
 * any thread is given something. */
void pool_set_patience(struct pool *pool, int64_t ms);

/* Who has work for a thread that was given a job, or (job NULL) whose call has lost its loop: the
 * executor. Before any thread is given something; without it no loop may be taken. */
void pool_set_work(struct pool *pool,
                   void (*work)(void *user, struct pool_thread *thread, struct job *job),
                   void *user);

/* Keeps this many spares in reserve from now on, and starts those that are missing. */
void pool_keep(struct pool *pool, unsigned reserve);

/* Starts what is missing of the reserve, as far as the bound allows. */
void pool_refill(struct pool *pool);

/* Keeps this many spares for steps beside the reserve. Once, before any step is given a thread. */
void pool_keep_for_steps(struct pool *pool, unsigned count);

enum pool_use {
    POOL_LOOP, /* a loop: may take from the reserve */
    POOL_STEP, /* a job that is a step: takes what is kept for those if nothing else is left */
    POOL_INTERACTIVE, /* a job that sleeps */
    POOL_BACKGROUND,  /* a job that computes, or may */
};

/* Gives a loop or a job to a spare, or to a new thread if there is none. Two steps, so that the
 * caller can make sure of a thread before it takes a loop: pool_get(), then exactly one of
 * pool_give_loop(), pool_give_job() and pool_put_back(). pool_get() returns NULL if the bound is
 * reached, a thread would not start (which is logged, once a second at most), or the pool has
 * stopped. */
struct pool_thread *pool_get(struct pool *pool, enum pool_use use);
void pool_give_loop(struct pool_thread *thread, struct loop *loop, struct pool_thread *from);
void pool_give_job(struct pool_thread *thread, struct job *job);
void pool_put_back(struct pool_thread *thread);

/* The most threads there may be, and how many there are. From any thread. */
unsigned pool_bound(const struct pool *pool);
unsigned pool_threads(const struct pool *pool);

/* How many are in calls outside of the loops. From any thread. */
unsigned pool_calling(const struct pool *pool);

/* How many spares could own a loop at once, and whether some of those that are kept are missing.
 * From any thread. */
unsigned pool_spares(const struct pool *pool);
bool pool_is_short(const struct pool *pool);

/* Whether another job could have a thread beside those that are kept. From any thread. */
bool pool_has_room(const struct pool *pool);

/* ---- a thread of the pool ---- */

/* Its user's bytes: the thread's own, except as pool_ops say. */
void *pool_thread_context(struct pool_thread *thread);

/* Who it is. */
const struct thread *pool_thread_self(const struct pool_thread *thread);

/* The call under way when its loop was taken: written by the monitor, read by the new owner. */
struct call_sample *pool_thread_stall(struct pool_thread *thread);

/* The executor's, guarded by its lock. */
struct permit *pool_thread_permit(struct pool_thread *thread);
struct pool_thread *pool_thread_of_permit(struct permit *permit);

/* Whether it has the lowest priority; once set, for good. The thread itself, or the monitor for a
 * thread that is in a call. */
bool pool_thread_is_background(const struct pool_thread *thread);
void pool_thread_set_background(struct pool_thread *thread);

/* The new owner has taken what it needs: the thread may use its context again. */
void pool_thread_let_go(struct pool_thread *thread);

/* ---- the end ---- */

/* Waits until the loops have drained, then until every thread has ended. The reserve is kept until
 * the loops have drained; no thread is started after that. Threads in calls are waited for until
 * `deadline_ms` (CLOCK_MONOTONIC; CLOCK_NEVER: for ever), loops for `grace_ms` longer. Returns how
 * many threads are left behind, in calls. */
unsigned pool_stop(struct pool *pool, int64_t deadline_ms, int64_t grace_ms);

/* Gives everything back. Only after pool_stop() has returned 0. NULL is left alone. */
void pool_free(struct pool *pool);

#endif
