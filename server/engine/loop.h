/*
 * loop: an epoll set and all that its owner needs from one wait to the next: an inbox, deadlines, a
 * list of what is ready to go on, and the number of the call that is under way.
 *
 * A loop is passive: what its owner does is server/serve.c, and what lives in it (sessions,
 * listeners) is known only to those above. One thread owns a loop at a time, but which one can
 * change in the middle of a batch: the hand-over (server/engine/monitor.h) gives the loop to a
 * spare thread while the owner is in a handler. So whatever must outlive a batch of events is kept
 * in here, never on an owner's stack. Other threads reach a loop through its inbox alone
 * (loop_post()).
 *
 * A call of a handler is published in `call`, by a number that never comes twice (no ABA). Ending
 * the call, in the owner, and taking the loop, in the monitor, are both a compare-and-swap of
 * `call` from that number to 0: exactly one of them wins.
 */
#ifndef BANTER_SERVER_ENGINE_LOOP_H
#define BANTER_SERVER_ENGINE_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <time.h>

#include "common/counter.h"
#include "server/engine/heap.h"
#include "server/engine/inbox.h"

struct pool_thread;

/* Embedded in what can be ready. All zero: it is not. */
struct loop_item {
    TAILQ_ENTRY(loop_item) entry;
    bool is_ready;
};

TAILQ_HEAD(loop_items, loop_item);

/* Which calls a loop may make: each must leave a thread that could go on with it. */
enum loop_calls {
    LOOP_CALLS_ALL,
    LOOP_CALLS_KNOWN, /* those of sessions that were quick so far */
    LOOP_CALLS_NONE,
};

struct loop {
    int epoll_fd;
    int wake_fd; /* eventfd, reported once for each write: something has come into the inbox */

    /* For every thread. */
    struct inbox inbox;

    /* The hand-over's. */
    _Atomic uint64_t call;            /* number of the handler's call under way; 0: none */
    _Atomic enum loop_calls may_call; /* set by the monitor */
    _Atomic bool is_in_batch;         /* the monitor must not sleep */
    /* most of the loop's time goes into calls, so they are to be measured. Set by the monitor,
     * cleared by the owner */
    _Atomic bool measures;
    /* the owner, also one that is just given it. Written by the giver: the monitor once it runs */
    struct pool_thread *owner;
    /* the owner's CPU clock, and its number for the kernel (0: there is none yet, or no more).
     * Copies, since they are still read when the owner itself may have ended */
    clockid_t owner_clock;
    _Atomic pid_t owner_tid;
    struct counter served; /* requests so far. Added to by the owner, read by all */

    /* The owner's. */
    uint64_t calls;   /* calls so far: the number of the last one */
    int64_t now_ms;   /* CLOCK_MONOTONIC at the start of the batch */
    int64_t batch_ns; /* the same time, exactly; of a batch in which the loop is taken, too */
    /* By this time deadlines are judged: all that epoll had to report then has been seen to. So
     * what waits in a socket while the process stands still comes before any time-out. */
    int64_t looked_ms;
    int64_t look_ms;      /* when the look under way began, before its first wait */
    unsigned look_events; /* that it has reported so far */
    /* a call has lost the loop a moment ago; until then newcomers are suspected to be slow too */
    int64_t alarm_until_ms;
    struct heap deadlines;       /* keys in ms of CLOCK_MONOTONIC */
    struct loop_items ready;     /* may go on without an event */
    struct loop_item *pass_last; /* the last one of the pass under way; NULL: the pass is over */
};

/* Makes a loop that watches nothing; all zero before. False with errno set; loop_fini() is due all
 * the same. */
bool loop_init(struct loop *loop);

/* Gives everything back. Nobody owns the loop or posts to it any more, and its inbox is empty. */
void loop_fini(struct loop *loop);

/* Sends something to the loop's owner. From any thread. */
void loop_post(struct loop *loop, struct inbox_node *node);

/* The same for several at once, which wake the owner once at most (inbox_push_chain()). */
void loop_post_chain(struct loop *loop, struct inbox_node *newest, struct inbox_node *oldest);

/* Lets the owner end its wait, if it waits, and begin a batch. From any thread. */
void loop_wake(struct loop *loop);

/* All that was posted, the oldest first; NULL: nothing. Owner only; a new owner calls it before its
 * first wait, since what woke the one before is not reported again. */
struct inbox_node *loop_take_inbox(struct loop *loop);

/* ---- what epoll watches ---- */

/* What an event of the loop's epoll set comes from: a tag in the low bits of the pointer. */
enum loop_source {
    LOOP_INBOX,    /* no pointer */
    LOOP_LISTENER, /* struct listener */
    LOOP_SESSION,  /* struct session */
    LOOP_PIPES,    /* the same: of the program that its client talks to (session/pipes.h) */
    LOOP_POOL,     /* no pointer: the timer of common/buffer_pool.h */
    LOOP_SOURCE_MASK = 7,
};

/* Adds (EPOLL_CTL_ADD) or changes (EPOLL_CTL_MOD) what is watched of a descriptor. `object` is
 * aligned to 8 bytes. False with errno set. Owner only, or before the loop runs. */
static inline bool loop_watch(struct loop *loop, int operation, int fd, uint32_t events,
                              enum loop_source source, void *object)
{
    struct epoll_event event = {.events = events, .data.u64 = (uintptr_t) object | source};
    return epoll_ctl(loop->epoll_fd, operation, fd, &event) == 0;
}

/* Watches a descriptor no more; explicitly, since a forked child may still have a copy of it. */
static inline void loop_unwatch(struct loop *loop, int fd)
{
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static inline enum loop_source loop_event_source(const struct epoll_event *event)
{
    return (enum loop_source)(event->data.u64 & LOOP_SOURCE_MASK);
}

static inline void *loop_event_object(const struct epoll_event *event)
{
    return (void *) (uintptr_t) (event->data.u64 & ~(uint64_t) LOOP_SOURCE_MASK);
}

/* ---- what is ready; owner only ---- */

/* Lets the item go on in this batch or the next, without an event. Once is enough. */
void loop_ready(struct loop *loop, struct loop_item *item);

/* Takes that back; an item that is not ready is left alone. */
void loop_unready(struct loop *loop, struct loop_item *item);

/* Begins a pass over those that are ready now; an item that becomes ready meanwhile waits for the
 * next pass, behind another look at the sockets. */
void loop_begin_pass(struct loop *loop);

/* The pass's next item, which is not ready any more; NULL: the pass is over. A pass outlives its
 * batch if the loop is taken in it. */
struct loop_item *loop_next_ready(struct loop *loop);

/* ---- calls ---- */

/* Publishes that a handler is being called, and returns the call's number. All that the thread
 * which takes the loop will read must be in place. Owner only. */
static inline uint64_t loop_begin_call(struct loop *loop)
{
    uint64_t call = ++loop->calls;
    atomic_store_explicit(&loop->call, call, memory_order_release);
    return call;
}

static inline bool loop_finish_call(struct loop *loop, uint64_t call)
{
    return atomic_compare_exchange_strong_explicit(&loop->call, &call, 0, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* The handler has returned. False: the loop was taken meanwhile, and the caller, who was its owner,
 * must not touch it any more. */
static inline bool loop_end_call(struct loop *loop, uint64_t call)
{
    return loop_finish_call(loop, call);
}

/* Takes the loop from its owner, who is in this call. False: the call was over first, and the loop
 * stays where it is. Monitor only. */
static inline bool loop_take(struct loop *loop, uint64_t call)
{
    return loop_finish_call(loop, call);
}

#endif
