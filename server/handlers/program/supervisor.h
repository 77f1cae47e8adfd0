/*
 * supervisor: the thread that runs the program's instances. It takes requests from the queue and
 * gives them to workers, which write, read and replace their instances; it sleeps in epoll_wait(2)
 * on their pipes, their pidfds and an eventfd.
 *
 * Either all sessions share a fixed number of workers, or each session has a worker to itself, from
 * its first request to its end.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_SUPERVISOR_H
#define BANTER_SERVER_HANDLERS_PROGRAM_SUPERVISOR_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "server/handlers/program/instance.h"
#include "server/handlers/program/queue.h"
#include "server/handlers/program/worker.h"

struct log;

/* How many descriptors it needs: an instance has four, and keeps two of them while it is ended;
 * there are epoll, the eventfd, and the pipes of one start. */
enum { SUPERVISOR_DESCRIPTORS = 16, SUPERVISOR_DESCRIPTORS_PER_WORKER = 6 };

struct supervisor {
    struct queue *queue;
    /* the thread's alone while it runs */
    struct instances instances;
    struct workers workers;
    LIST_HEAD(, worker) all; /* workers */
    unsigned count;          /* of workers that all sessions share; 0: each session has its own */
    struct worker *shared;   /* those workers; owned */
    /* for all threads */
    struct channel wake; /* eventfd */
    pthread_t thread;
    sem_t started;       /* the first instances have started, or `failure` says why not */
    int failure;         /* an errno */
    atomic_bool closing; /* set once by supervisor_stop() */
    atomic_bool down;    /* see supervisor_is_down() */
};

/* Prepares it; nothing runs yet. `count` workers are shared; 0: each session has its own, and the
 * queue is one_at_a_time. Queue, command and log must outlive it. Returns 0, or an errno. */
int supervisor_init(struct supervisor *supervisor, struct queue *queue, unsigned count,
                    struct command *command, struct log *log);

/* For one that was prepared, and runs not yet or no more. */
void supervisor_fini(struct supervisor *supervisor);

/* Starts the thread, and returns when the shared workers have their first instances: 0, or the
 * errno of what failed; then nothing runs. */
int supervisor_start(struct supervisor *supervisor);

/* Ends the instances, as gently as they let it, and the thread. All sessions have ended. */
void supervisor_stop(struct supervisor *supervisor);

/* Wakes the thread: for a request, if the queue says so, or for a session's end. From any thread,
 * while the supervisor runs. */
void supervisor_wake(struct supervisor *supervisor);

/* Whether all shared workers are down (worker.h): then requests are refused at once. From any
 * thread. */
static inline bool supervisor_is_down(const struct supervisor *supervisor)
{
    return atomic_load_explicit(&supervisor->down, memory_order_relaxed);
}

#endif
