/*
 * scoreboard: what each worker does, for any thread to read without a lock.
 *
 * Only the supervisor's thread calls these, except as they say, and for init and fini.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_SCOREBOARD_H
#define BANTER_SERVER_HANDLERS_PROGRAM_SCOREBOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/handler_workers.h"

/* A worker's. Written by the supervisor's thread. */
struct score {
    struct score *next_free; /* that thread's alone */
    atomic_bool taken;
    _Atomic uint64_t number;
    _Atomic enum handler_worker_state state;
    _Atomic int pid; /* 0: there is none */
    _Atomic uint64_t requests, restarts;
};

struct scoreboard {
    struct score *scores; /* `size` of them; owned */
    unsigned size;
    _Atomic unsigned used; /* no score from this one on was ever taken */
    struct score *free;    /* of those before */
    _Atomic uint64_t replacements;
};

/* For so many workers. False: out of memory; scoreboard_fini() must follow in both cases. */
bool scoreboard_init(struct scoreboard *scoreboard, unsigned size);
void scoreboard_fini(struct scoreboard *scoreboard);

/* A score for a worker, which starts. NULL: all are taken. All that follow ignore a NULL. */
struct score *scoreboard_take(struct scoreboard *scoreboard, uint64_t number);
void scoreboard_release(struct scoreboard *scoreboard, struct score *score);

static inline void score_number(struct score *score, uint64_t number)
{
    if (score)
        atomic_store_explicit(&score->number, number, memory_order_relaxed);
}

static inline void score_state(struct score *score, enum handler_worker_state state)
{
    if (score)
        atomic_store_explicit(&score->state, state, memory_order_relaxed);
}

static inline void score_pid(struct score *score, int pid)
{
    if (score)
        atomic_store_explicit(&score->pid, pid, memory_order_relaxed);
}

/* So many requests more were answered. */
static inline void score_requests(struct score *score, uint64_t more)
{
    if (score)
        atomic_store_explicit(&score->requests,
                              atomic_load_explicit(&score->requests, memory_order_relaxed) + more,
                              memory_order_relaxed);
}

/* Another process takes the place of one. */
void scoreboard_replaced(struct scoreboard *scoreboard, struct score *score);

/* The one that has `other` has taken the place of the one that has `score`, which is its own now:
 * it gets what the other says. NULL: does nothing. */
void scoreboard_succeed(struct scoreboard *scoreboard, struct score *score,
                        const struct score *other);

/* See handler_next_worker(). From any thread. */
bool scoreboard_next(struct scoreboard *scoreboard, unsigned *place, struct handler_worker *worker);

/* From any thread. */
static inline uint64_t scoreboard_replacements(struct scoreboard *scoreboard)
{
    return atomic_load_explicit(&scoreboard->replacements, memory_order_relaxed);
}

#endif
