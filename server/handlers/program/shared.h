/*
 * shared: a fixed number of workers that all sessions share. An idle one gets what the queue has
 * next; while all are starting the requests' time stands still, and while all are down they are
 * refused.
 *
 * Only the supervisor's thread calls these, except as they say, and for init and fini.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_SHARED_H
#define BANTER_SERVER_HANDLERS_PROGRAM_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>

#include "server/handlers/program/pause.h"
#include "server/handlers/program/state.h"

struct shared {
    struct workers *workers;
    struct worker *list; /* `count` of them, and one for restarts; owned */
    unsigned count;      /* 0: workers are not shared */
    /* a restart (shared_restart.h): the one that is not in use; the one that is being replaced, and
     * the one that takes its place; NULL: none */
    struct worker *vacant, *old, *successor;
    struct pause pause; /* while all are starting; for all threads to read */
    atomic_bool down;   /* see shared_is_down() */
};

/* False: out of memory; shared_fini() must follow in both cases. */
bool shared_init(struct shared *shared, struct workers *workers, unsigned count);
void shared_fini(struct shared *shared);

/* Starts the instances. Returns 0, or the errno of what failed. */
int shared_start(struct shared *shared);

/* Gives out what the queue has, as far as workers can take it. */
void shared_serve(struct shared *shared);

/* Whether a worker can take a request, or requests are refused at once. */
bool shared_wants_requests(struct shared *shared);

/* One more worker, which is not started yet, to take the place of the one that has this number, as
 * shared.successor. NULL: out of memory. Only one at a time. */
struct worker *shared_add_successor(struct shared *shared, uint64_t number);

/* Ends the successor, which has failed. */
void shared_remove_successor(struct shared *shared);

/* Ends the old one gently, which has no request; the successor is the only one with the number. */
void shared_succeed(struct shared *shared, struct worker *old);

/* Ends all workers, gently or not. */
void shared_end(struct shared *shared, bool gently);

/* Whether all are down (respawn.h): then requests are refused at once. From any thread. */
static inline bool shared_is_down(const struct shared *shared)
{
    return atomic_load_explicit(&shared->down, memory_order_relaxed);
}

#endif
