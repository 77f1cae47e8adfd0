/*
 * crew: the server's threads. Each one owns a loop, or is in a handler whose loop was taken from
 * it, or runs what was offloaded (server/engine/executor.h), or is a spare: it waits to be given something.
 *
 * A thread that has computed has given way to all others (server/engine/scheduling.h), for good: it is used
 * for that again, and for something else only where the bound leaves no other.
 *
 * Spares are made on demand up to a bound and end when they have not been needed for ten seconds.
 */
#ifndef BANTER_SERVER_ENGINE_POOL_H
#define BANTER_SERVER_ENGINE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/engine/cost.h"

struct pool;
struct log;
struct loop;
struct executor;
struct permit;
struct request;
struct session;

/* What a thread works with while it owns a loop. When the loop is taken, its new owner reads the
 * fields that say so; the thread itself leaves them alone until pool_thread_let_go() was called. */
struct scratch {
    struct buffer input; /* the thread's own: a read goes in here */
    /* `input`, or the session's own where much was left over. Read by the new owner */
    struct buffer *reading;
    struct buffer output;    /* replies that are complete. Read by the new owner */
    struct session *session; /* whose turn it is. Read by the new owner */
    /* for the next call, or in the call under way. Taken by the new owner */
    struct request *request;
    struct buffer large; /* a session's buffer, lent to the turn */
    unsigned begun_ms;   /* when the turn began, by monitor_clock_ms() */
    /* the call under way when the loop was taken. Written by the monitor, read by the new owner */
    struct call_sample stall;
};

struct pool_thread;

/* A crew of at most `bound` threads. NULL when memory is out. */
struct pool *pool_new(unsigned bound, struct log *log);

/* Before any thread is given something: what its threads serve when they have lost a loop. */
void pool_set_offload(struct pool *pool, struct executor *executor);

enum pool_use {
    POOL_INTERACTIVE,   /* a loop, or a call that sleeps */
    POOL_BACKGROUND, /* a call that computes, or may */
};

/* Gives a loop to a spare, or to a new thread where there is none: it will call loop_run(loop,
 * itself, from); or an offloaded request: it will call executor_run(). Two steps, so that the
 * caller can make sure of a thread before it takes the loop: pool_get(), then pool_give() or
 * pool_give_request() or pool_put_back(). pool_get() returns NULL when the bound is reached or a
 * thread would not start (which is logged). */
struct pool_thread *pool_get(struct pool *pool, enum pool_use use);
void pool_give(struct pool_thread *thread, struct loop *loop, struct pool_thread *from);
void pool_give_request(struct pool_thread *thread, struct request *request);
void pool_put_back(struct pool_thread *thread);

/* The most threads there may be. */
unsigned pool_bound(const struct pool *pool);

/* What the thread works with; only the thread itself, and as told at struct scratch. */
struct scratch *pool_scratch(struct pool_thread *thread);

/* Its identity, and its part in the offload. */
pthread_t pool_thread_id(const struct pool_thread *thread);
struct permit *pool_thread_run(struct pool_thread *thread);

/* The new owner has taken what it needs from the turn: the thread may use it again. */
void pool_thread_let_go(struct pool_thread *thread);

/* Waits until the loops have drained and every thread has ended. Threads in handlers are waited
 * for until `deadline_ms` (CLOCK_MONOTONIC; INT64_MAX: for ever), loops for `grace_ms` more.
 * Returns how many threads are left behind, in handlers. */
unsigned pool_stop(struct pool *pool, int64_t deadline_ms, int64_t grace_ms);

/* Gives everything back. Only after pool_stop() returned 0. NULL is left alone. */
void pool_free(struct pool *pool);

#endif
