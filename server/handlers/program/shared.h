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
    struct worker *list; /* `count` of them; owned */
    unsigned count;      /* 0: workers are not shared */
    struct pause pause;  /* while all are starting; for all threads to read */
    atomic_bool down;    /* see shared_is_down() */
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

/* Ends all workers, gently or not. */
void shared_end(struct shared *shared, bool gently);

/* Whether all are down (respawn.h): then requests are refused at once. From any thread. */
static inline bool shared_is_down(const struct shared *shared)
{
    return atomic_load_explicit(&shared->down, memory_order_relaxed);
}

#endif
