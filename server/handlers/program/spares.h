/*
 * spares: workers whose instances were started ahead, and that belong to no session yet.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_SPARES_H
#define BANTER_SERVER_HANDLERS_PROGRAM_SPARES_H

#include <sys/queue.h>

#include "server/handlers/program/state.h"

/* All zero but the list: spares_init(). */
struct spares {
    TAILQ_HEAD(spare_list, worker) list; /* the oldest first */
    unsigned count;
};

void spares_init(struct spares *spares);
void spares_add(struct spares *spares, struct worker *worker);

/* It is none any more. */
void spares_remove(struct spares *spares, struct worker *worker);

/* The one that can be given a request soonest, and is no spare any more; NULL: none has an
 * instance that will do. */
struct worker *spares_take(struct spares *spares, struct workers *workers);

#endif
