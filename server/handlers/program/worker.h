/*
 * program_worker: a place for one copy of the program, and the request that is in it: gives the
 * copy a line, reads its answer, and puts a new copy in the place of one that has ended or can't be
 * trusted any more.
 *
 * A copy may only ever answer the request that was given to it. So whatever is not exactly one line
 * ends it: bytes behind the line, bytes that nobody has asked for, no line in time.
 *
 * Only the program handler's own thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_WORKER_H
#define BANTER_SERVER_HANDLERS_PROGRAM_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buffer.h"
#include "server/handlers/program/instance.h"

struct flow;
struct request;

/* So many copies in a row that have ended before they answered once make a place unavailable. */
enum { WORKER_MAX_FAILURES = 5, WORKER_MAX_DELAY_MS = 5000 };

#define WORKER_DOWN_TEXT                                                                           \
    "the program has failed again and again; it is tried anew every few seconds"

struct worker {
    LIST_ENTRY(worker) entry;      /* in a list of its keeper's */
    LIST_ENTRY(worker) idle_entry; /* in workers.idle */
    bool is_idle;                  /* it is in that list: it can be given a request */
    uint64_t number;
    struct flow *flow;         /* the session that it belongs to; NULL: all */
    struct instance *instance; /* NULL: it waits to be started */
    struct request *request;   /* held; NULL: none */
    int64_t late_ms;           /* when its copy is given up */
    bool given;                /* the request is being written, or was; else it waits for a copy */
    bool replied;              /* the request was answered before it was written to its end */
    size_t written;            /* bytes of the request's line */
    bool input_watched;
    struct buffer answer; /* what there is of it */
    bool answered;        /* this copy has answered once */
    unsigned failures;    /* copies in a row that did not */
    int64_t start_ms;     /* no instance: when it may be started */
    const char *
        /* why it can't go on; whether it has ended is awaited until broken_ms. NULL: it can */
        broken;
    int64_t broken_ms;
};

struct workers {
    struct instances *instances;
    LIST_HEAD(, worker) idle;
    bool on_demand; /* a copy is started when there is a request for it */
    bool changed;   /* a copy was started or lost since the keeper looked */
    /* A request has left a worker that belongs to a session; NULL where none does. */
    void (*done)(struct workers *workers, struct worker *worker);
};

/* Gives everything back; the copy is ended gently, the request released. One begins as all zero,
 * but for its number and flow. */
void worker_fini(struct workers *workers, struct worker *worker);

/* Starts its copy. 0, or the errno of what failed: then it will be tried again. */
int worker_start(struct workers *workers, struct worker *worker);

/* Whether its copies have failed so often that requests are not worth waiting for the next one. */
bool worker_is_down(const struct worker *worker);

/* All are down: the next try comes when WORKER_MAX_DELAY_MS are over. */
void worker_retry_slowly(struct workers *workers, struct worker *worker);

/* An idle one whose copy has not said anything unasked; NULL: there is none. */
struct worker *workers_idle(struct workers *workers);

/* Gives it a request with its hold: one that is idle, or has no copy (then the request waits for
 * the next one). */
void worker_give(struct workers *workers, struct worker *worker, struct request *request);

/* What epoll reported for its copy. */
void worker_read(struct workers *workers, struct worker *worker);
void worker_write(struct workers *workers, struct worker *worker);
void worker_exited(struct workers *workers, struct worker *worker);

/* Does what is due, and schedules what is next. */
void worker_act(struct workers *workers, struct worker *worker);

#endif
