/*
 * restart: another process for each worker, on request: who has asked, and what has come of it.
 * Which process is replaced when is for those who have them (shared_restart.h); of those that were
 * started ahead it is decided here.
 *
 * Only the supervisor's thread calls these, except as they say, and for init and fini.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_RESTART_H
#define BANTER_SERVER_HANDLERS_PROGRAM_RESTART_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/handler_workers.h"

#define RESTART_STOPPING_TEXT "the server is stopping"

struct log_ring;

struct restart {
    struct log_ring *log;          /* NULL: no log; the caller's to set */
    int ended_fd;                  /* eventfd: one has ended */
    atomic_bool asked;             /* for one that has not begun */
    pthread_mutex_t lock;          /* nobody who holds it waits */
    struct handler_restart result; /* guarded by `lock` */
    /* the supervisor's */
    bool runs, is_over; /* it is over, which is not announced yet */
    unsigned restarted;
    uint64_t last_number; /* of those started ahead: the last one that is to be replaced */
};

/* False, with errno set, if descriptors are out; restart_fini() must follow in both cases. */
bool restart_init(struct restart *restart);
void restart_fini(struct restart *restart);

/* ---- from any thread ---- */

/* Asks for one; the supervisor is to be woken then. False, with `error` set: one goes on. */
bool restart_ask(struct restart *restart, struct error *error);

void restart_result(struct restart *restart, struct handler_restart *result);

/* ---- the supervisor's ---- */

/* Whether there is anything to do: one was asked for, or has begun and not ended. */
bool restart_goes_on(const struct restart *restart);

/* Whether it begins now: once each. */
bool restart_begins(struct restart *restart);

/* What is to be done: `count` workers have another process to come, `kept` do not. */
void restart_plan(struct restart *restart, unsigned count, unsigned kept);

/* So many have another process by now. */
void restart_progress(struct restart *restart, unsigned restarted);

/* It is over: done, or early, with a sentence that says why. */
void restart_done(struct restart *restart);
void restart_give_up(struct restart *restart, const char *why);

/* Tells whoever has asked, once each, when all that it has brought can be relied upon. */
void restart_announce_end(struct restart *restart);

/* ---- of those that were started ahead ---- */

/* How they are. They have numbers, which go up. */
struct restart_spares {
    unsigned count, wanted; /* how many there are, and are to be */
    uint64_t oldest;        /* 0: there is none */
    uint64_t newest;
    bool newest_waits; /* it has started */
    bool is_full;      /* there can't be one more */
    bool has_failed;   /* one has not started since the restart began */
    bool are_kept;     /* those that were taken meanwhile belong to sessions now */
};

/* Those up to this number are to be replaced. */
void restart_plan_spares(struct restart *restart, uint64_t last_number, unsigned count,
                         unsigned kept);

/* How many are wanted in addition, if the oldest has this number (0: there is none). */
unsigned restart_more(const struct restart *restart, uint64_t oldest);

/* Whether the oldest is to be ended now: its successor waits, or there is no room for one before.
 * Ends the restart when it is over. */
bool restart_takes_oldest(struct restart *restart, const struct restart_spares *spares);

#endif
