/*
 * supervisor: the thread that runs the program's instances. It sleeps in epoll_wait(2) on their
 * pipes, their pidfds and an eventfd, passes on what happens, and has requests given out.
 *
 * Either all sessions share a fixed number of workers (shared.h), or each session has a worker to
 * itself, from its first request to its end (own.h), or each request has an instance to itself
 * (oneshots.h).
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_SUPERVISOR_H
#define BANTER_SERVER_HANDLERS_PROGRAM_SUPERVISOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "server/handlers/program/instance.h"
#include "server/handlers/program/oneshots.h"
#include "server/handlers/program/own.h"
#include "server/handlers/program/queue.h"
#include "server/handlers/program/restart.h"
#include "server/handlers/program/shared.h"
#include "server/handlers/program/talks.h"
#include "server/handlers/program/wait.h"

struct log;

/* How many descriptors it needs: an instance has ten at most, five of them for looks, and two while
 * it is ended; there are epoll, eventfds, a timerfd, and the pipes of one start. */
enum { SUPERVISOR_DESCRIPTORS = 20, SUPERVISOR_DESCRIPTORS_PER_WORKER = 11 };

/* Which instances there are. */
struct supervisor_plan {
    unsigned shared;  /* workers that all sessions share; 0: each session or request has its own */
    bool per_request; /* each request has */
    bool talks;       /* each session has, and there are no requests (talks.h) */
    unsigned ahead;   /* not shared: how many instances wait, started ahead */
    unsigned max;     /* not shared: how many there may be at a time */
    unsigned starts;  /* not shared: how many of them may be starting */
};

enum recall_state { RECALL_NOT_ASKED, RECALL_ASKED, RECALL_DONE };

struct supervisor {
    struct queue *queue;
    struct supervisor_plan plan;
    /* the thread's alone while it runs */
    struct instances instances;
    struct workers workers;
    struct shared shared;     /* plan.shared */
    struct own own;           /* neither shared nor per request */
    struct oneshots oneshots; /* plan.per_request */
    struct talks talks;       /* plan.talks */
    struct wait wait;
    /* for all threads */
    struct turn_rules rules; /* constant */
    struct channel wake;     /* eventfd */
    pthread_t thread;
    int started_fd; /* eventfd: an instance is ready for a request, or `failed` */
    bool failed;    /* `error` says why none is; read after `started_fd` */
    struct error error;
    atomic_bool closing; /* set once */
    _Atomic enum recall_state recall;
    struct restart restart; /* whoever asks for one wakes the thread */
};

/* Prepares it; nothing runs yet. The queue keeps flows unless workers are shared, and is
 * one_at_a_time if each session has its own. Queue, command, log, and what the rules point to must
 * outlive it. Returns 0, or an errno. */
int supervisor_init(struct supervisor *supervisor, struct queue *queue,
                    const struct supervisor_plan *plan, const struct turn_rules *rules,
                    const struct command *command, const struct spawn_options *options,
                    struct log *log);

/* For one that was prepared, and runs not yet or no more. */
void supervisor_fini(struct supervisor *supervisor);

/* Starts the thread, and returns when the first instance of a shared worker is ready for a request.
 * False, with `error` set, if none can be or `stop_fd` (0: none) becomes readable before; then
 * nothing runs. */
bool supervisor_start(struct supervisor *supervisor, int stop_fd, struct error *error);

/* Ends the instances, as gently as they let it, and the thread. All sessions have ended. */
void supervisor_stop(struct supervisor *supervisor);

/* Wakes the thread: for a request, if the queue says so, or for a session's end. From any thread,
 * while the supervisor runs. */
void supervisor_wake(struct supervisor *supervisor);

/* Asks for a recall (recall.h), if nobody has. Returns whether there has been one; of requests that
 * have an instance each there is none to do. From any thread. */
bool supervisor_recall(struct supervisor *supervisor);

/* Whether all shared workers are down (respawn.h): then requests are refused at once. From any
 * thread. */
static inline bool supervisor_is_down(const struct supervisor *supervisor)
{
    return shared_is_down(&supervisor->shared);
}

#endif
