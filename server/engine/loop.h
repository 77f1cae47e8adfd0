/*
 * loop: an epoll set with the sessions in it.
 *
 * A session belongs to one loop, and only that loop's present owner touches the loop, its sessions,
 * their timers and their sockets. An idle one may be moved to another loop by the owner of its own
 * (server/engine/scaler.h): nothing of it is left behind, and the other makes a new one of it. Which thread that is can change
 * in the middle of a turn: the hand-over (server/engine/monitor.h) gives the loop to a spare while the
 * former owner is in a handler. So what must outlive a batch of events is kept in here, never on an
 * owner's stack.
 *
 * Other threads reach a loop through its inbox alone (loop_post()).
 */
#ifndef BANTER_SERVER_ENGINE_LOOP_H
#define BANTER_SERVER_ENGINE_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "server/engine/inbox.h"
#include "server/session/store.h"
#include "server/settings.h"
#include "server/engine/heap.h"

struct acceptor;
struct scaler;
struct pool_thread;
struct log;
struct log_ring;
struct executor;
struct server;
struct session;
struct monitor;

struct loop {
    struct server *server;
    const struct settings *settings;
    struct log_ring *log;        /* the owner's; NULL: nothing is logged */
    struct log_ring *transcript; /* the same; NULL: no messages are logged */
    int epoll_fd;
    int wake_fd; /* eventfd: something is in the inbox */

    /* For every thread. */
    struct inbox inbox;
    struct inbox_node stop_node;
    struct inbox_node resume_node;
    _Atomic bool resume_posted; /* resume_node is in the inbox */

    /* The hand-over's. */
    _Atomic uint64_t call;   /* number of the handler's call under way; 0: none. See handover.h */
    _Atomic bool active;     /* a batch is under way: the watcher must not sleep */
    struct monitor *monitor; /* NULL: no hand-over */
    /* who owns it, or is being given it. Written by the watcher once it runs */
    struct pool_thread *owner;
    clockid_t owner_clock;     /* its CPU time. As above; the thread itself may have ended */
    _Atomic pid_t owner_tid;   /* written by the owner before its first call; 0: none has begun */
    struct executor *executor;   /* takes what is known to take long; NULL: nothing does */
    struct scaler *scaler;   /* which loops are in use */
    struct acceptor *acceptor; /* NULL: the owner of another loop accepts */
    _Atomic uint64_t requests; /* that got an answer. The owner's; the watcher reads it */
    /* calls are to be measured, since they take most of the loop's time. Set by the monitor,
     * cleared by the owner */
    _Atomic bool measures;

    /* The owner's. */
    uint64_t calls; /* calls so far: the number of the last one */
    int64_t now_ms; /* CLOCK_MONOTONIC at the start of the batch */
    /* a call has lost the loop a moment ago: until then newcomers may be of its kind */
    int64_t alarm_until_ms;
    struct session_store sessions;
    struct session_active *again_first, *again_last; /* run again: may go on without an event */
    struct session_active *again_end; /* those behind it wait until the sockets were looked at */
    struct session *dead;           /* closed in this batch; freed when it is over */
    struct heap deadlines; /* key: ms of CLOCK_MONOTONIC */
    bool draining; /* no new input is waited for */
    bool refusing; /* the drain's time is over: what is owed is refused */
    /* while draining: when refusing begins; then: when what is left is closed */
    int64_t drain_deadline_ms;
};

/* Makes a loop with no sessions, `loop` all zero before. False with errno set. Not for use by
 * its threads. */
bool loop_init(struct loop *loop, struct server *server, const struct settings *settings);

/* Gives everything back, requests that were answered too late included. Nobody runs it or posts
 * to it any more. */
void loop_fini(struct loop *loop);

/* Owns the loop and serves its sessions until it has drained (true), or until it was taken away
 * during a handler's call (false): then it belongs to another thread, and the caller has only
 * its request left. `from` is the thread from which it was taken, or NULL at the loop's first
 * start. */
bool loop_run(struct loop *loop, struct pool_thread *thread, struct pool_thread *from);

/* Sends something to the loop's owner, from any thread. */
void loop_post(struct loop *loop, struct inbox_node *node);

/* Lets all sessions go on that wait for the handler to be less full. From any thread. */
void loop_resume(struct loop *loop);

/* ---- for session.c, in the owner ---- */

/* Counts a request that got its answer; only one thread at a time does, so no locked operation. */
static inline void loop_count_request(struct loop *loop)
{
    const uint64_t requests = atomic_load_explicit(&loop->requests, memory_order_relaxed);
    atomic_store_explicit(&loop->requests, requests + 1, memory_order_relaxed);
}

/* Lets the turn of a session with this work come again in this batch or the next, without an event.
 * Once is enough. */
void loop_run_again(struct loop *loop, struct session_active *active);

/* Takes that back, if it was said. */
void loop_forget_again(struct loop *loop, struct session_active *active);

/* The server's log; may be called from any thread. */
struct log *loop_log(const struct loop *loop);

#endif
