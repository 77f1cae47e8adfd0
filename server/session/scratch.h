/*
 * scratch: what a thread works with while it owns a loop: buffers for one turn after the other, and
 * the request for the next call. It is the pool's context of each thread.
 *
 * When the loop is taken in a call, its new owner reads the fields that say so; the thread itself
 * leaves them alone until pool_thread_let_go() was called.
 */
#ifndef BANTER_SERVER_SESSION_SCRATCH_H
#define BANTER_SERVER_SESSION_SCRATCH_H

#include "common/buffer.h"
#include "server/engine/pool.h"

struct request;
struct session;

struct scratch {
    struct buffer input; /* the thread's own: a read goes in here */
    /* `input`, or `large` if much was left over. Read by the new owner */
    struct buffer *reading;
    struct buffer output; /* replies that are complete. Read by the new owner */
    /* whose turn it is; NULL: nobody's, and no handler may be called. Read by the new owner */
    struct session *session;
    /* for the next call, or in the call under way. Taken by the new owner */
    struct request *request;
    struct buffer large; /* a session's buffer, lent to the turn */
    unsigned begun_ms;   /* when the turn began, by monitor_clock_ms() */
};

/* A thread's. In the thread itself, or as described above. */
static inline struct scratch *scratch_of(struct pool_thread *thread)
{
    return pool_thread_context(thread);
}

/* For struct pool_ops: the call under way is over, and its loop was taken; the request is the
 * session's by now, which waits for it. */
void scratch_lost(void *context);

/* For struct pool_ops: gives everything back. */
void scratch_fini(void *context);

#endif
