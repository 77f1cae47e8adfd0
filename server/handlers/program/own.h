/*
 * own: a worker for each session, from its first request to its end, and those that were started
 * ahead for the next sessions (spares.h). The queue keeps flows, and is one_at_a_time.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_OWN_H
#define BANTER_SERVER_HANDLERS_PROGRAM_OWN_H

#include <stdint.h>

#include "server/handlers/program/restart.h"
#include "server/handlers/program/spares.h"
#include "server/handlers/program/state.h"

struct own {
    struct workers *workers;
    unsigned ahead;  /* how many wait, started ahead */
    unsigned more;   /* and how many in addition: a restart goes on */
    unsigned max;    /* how many workers there may be at a time */
    unsigned count;  /* of workers */
    uint64_t number; /* `ahead`: of the last worker */
    struct spares spares;
};

void own_init(struct own *own, struct workers *workers, unsigned ahead, unsigned max);

/* Gives each session's next requests to its worker, ends the workers of sessions that have ended,
 * and starts the next instance. */
void own_serve(struct own *own);

/* A restart goes on, of the workers that belong to no session yet: does what can be done by now.
 * Before own_serve(). */
void own_restart(struct own *own, struct restart *restart);

/* Ends all workers. All sessions have ended. */
void own_end(struct own *own);

#endif
