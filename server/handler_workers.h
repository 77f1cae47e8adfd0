/*
 * handler_workers: the workers of a handler that runs a program: processes that answer requests, or
 * that each talk to one session. Built-in handlers and plugins have none.
 *
 * Any thread may call these while the handler is open, except from within its functions. None
 * blocks, or takes a lock that the owner of a loop takes.
 */
#ifndef BANTER_SERVER_HANDLER_WORKERS_H
#define BANTER_SERVER_HANDLER_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct handler;

/* ---- what they do ---- */

enum handler_worker_state {
    HANDLER_WORKER_STARTING, /* it can't be given a request yet */
    HANDLER_WORKER_WAITS,    /* it can be given one */
    HANDLER_WORKER_RESTS,    /* the same, of a process that can't be seen to wait for one */
    HANDLER_WORKER_WORKS,    /* it has been given one, or a session */
    HANDLER_WORKER_DOWN,     /* its process has failed; the next one starts later */
    HANDLER_WORKER_STATES,   /* how many there are */
};

struct handler_worker {
    uint64_t number; /* as in the log; one that is being replaced has its successor's */
    enum handler_worker_state state;
    int pid;           /* of its process; 0: there is none */
    uint64_t requests; /* that it has answered so far, by all its processes */
    uint64_t restarts; /* how often another process has taken the place of one, for any reason */
};

/* The name for people and programs: "starting", "waits", "rests", "works", "down". Static. */
const char *handler_worker_state_name(enum handler_worker_state state);

/* The next worker from `*place` on, which is 0 at first and opaque after. False: there is none any
 * more. What goes on meanwhile may be in one field and not yet in another. */
bool handler_next_worker(struct handler *handler, unsigned *place, struct handler_worker *worker);

/* How many processes have taken the place of others so far. It never goes down. */
uint64_t handler_replacements(struct handler *handler);

/* ---- their restart ---- */

/* What has come of the last restart of the workers, or comes of one that goes on. */
struct handler_restart {
    bool runs;          /* it goes on */
    unsigned restarted; /* workers that have another process than at its beginning */
    unsigned count;     /* of how many */
    unsigned kept;      /* those that belong to sessions, which keep them */
    char why[400];      /* a sentence: why it has ended early; "": it has not */
};

/* Has another process take the place of each worker's, one after the other: a successor is started,
 * and when it can be given a request the old one is given no more, and is ended in order behind the
 * one that it has. So no request fails or waits for a start. If a successor fails, the old one and
 * those behind it stay, which is logged. Workers that belong to a session stay: what they know is
 * the session's. False, with `error` set, if there are no workers, or a restart goes on: it is not
 * joined, since it may have started processes of a program that has changed since.
 *
 * It goes on when this returns. When it has ended, handler_restart_fd() is readable, and
 * handler_restart_result() is what has come of it. The end of the server ends it early. */
bool handler_restart_workers(struct handler *handler, struct error *error);

/* An eventfd for one thread that polls it, reads it (eventfd_read(3)), and then asks for the
 * result, which may be that a restart goes on: what was readable was the end of the one before, for
 * which nobody waited any more. The handler's, which closes it in handler_close(). -1: there are no
 * workers. */
int handler_restart_fd(const struct handler *handler);

/* All zero if there was none. */
void handler_restart_result(struct handler *handler, struct handler_restart *restart);

/* Says it in words: "restarted 4"; "restarted 2, 5 belong to clients and stay"; or, if it has ended
 * early, "restarted 1 of 4: worker 2 stays, its successor has failed: ...". */
void handler_restart_text(const struct handler_restart *restart, char *text, size_t size);

#endif
