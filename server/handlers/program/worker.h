/*
 * worker: a place for one instance of the program: gives the instance a request, and replaces an
 * instance that has ended or can't be trusted any more.
 *
 * An instance may only ever answer the request that it was given. So anything but exactly one line
 * in time ends it: bytes after the line, and bytes that no request has asked for.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_WORKER_H
#define BANTER_SERVER_HANDLERS_PROGRAM_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/handlers/program/exchange.h"
#include "server/handlers/program/instance.h"

struct flow;
struct request;

/* A worker is down when this many instances in a row have ended before their first answer. */
enum { WORKER_MAX_FAILURES = 5, WORKER_MAX_DELAY_MS = 5000 };

#define WORKER_DOWN_TEXT                                                                           \
    "the program has failed again and again; it is tried anew every few seconds"

/* All zero at first, except for its number and flow. */
struct worker {
    LIST_ENTRY(worker) entry;      /* in the supervisor's list */
    LIST_ENTRY(worker) idle_entry; /* in workers.idle */
    bool is_idle;                  /* it is in that list: it can be given a request */
    uint64_t number;
    struct flow *flow; /* the supervisor's: the session that has it to itself; NULL: all do */
    struct instance *instance; /* NULL: to be started, from start_ms on */
    struct exchange exchange;
    bool given;      /* the instance has been given the request; else the request waits for one */
    int64_t late_ms; /* a request: when the instance must have answered it */
    bool input_watched;
    bool answered;      /* this instance has answered once */
    unsigned failures;  /* instances in a row that never answered */
    int64_t start_ms;   /* no instance: when the next may be started */
    const char *broken; /* why the instance can't go on; it may end until broken_ms. NULL: it can */
    int64_t broken_ms;
};

struct workers {
    struct instances *instances;
    LIST_HEAD(, worker) idle;
    bool on_demand; /* an instance is started when there is a request for it */
    bool changed;   /* an instance was started or lost since the supervisor looked */
    /* A request has left a worker that belongs to a session; NULL: workers are shared. */
    void (*done)(struct workers *workers, struct worker *worker);
};

/* Ends the instance gently, and releases the request. */
void worker_fini(struct workers *workers, struct worker *worker);

/* Starts its instance. Returns 0, or the errno of what failed: then it will try again. */
int worker_start(struct workers *workers, struct worker *worker);

/* Whether its instances have failed so often that no request should wait for the next one. */
bool worker_is_down(const struct worker *worker);

/* All are down: its next try comes in WORKER_MAX_DELAY_MS. */
void worker_retry_slowly(struct workers *workers, struct worker *worker);

/* An idle worker whose instance has written nothing unasked; NULL: there is none. */
struct worker *workers_idle(struct workers *workers);

/* Gives it a request, with its hold. The worker is idle, or has no instance; then the request waits
 * for the next one. */
void worker_give(struct workers *workers, struct worker *worker, struct request *request);

/* Events of its instance. */
void worker_read(struct workers *workers, struct worker *worker);
void worker_write(struct workers *workers, struct worker *worker);
void worker_exited(struct workers *workers, struct worker *worker);

/* Acts if its time has come, and schedules the next time. */
void worker_act(struct workers *workers, struct worker *worker);

#endif
