/*
 * tagged_worker: a worker whose instance has requests of many sessions at once, each with an ID
 * (tagged.h). It has no turns, and is WORKER_IDLE as long as its instance can take requests.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_TAGGED_WORKER_H
#define BANTER_SERVER_HANDLERS_PROGRAM_TAGGED_WORKER_H

#include <stdbool.h>

#include "server/handlers/program/state.h"

/* The worker's instances are to have up to `rules->tagged` requests at once. Before the first one
 * is started. False: out of memory. */
bool tagged_worker_init(struct worker *worker, const struct turn_rules *rules);
void tagged_worker_fini(struct worker *worker);

/* The one with the fewest requests; NULL: no instance has room. */
struct worker *tagged_workers_with_room(struct workers *workers);

/* It takes a request, with its hold; there is room. */
void tagged_worker_add(struct workers *workers, struct worker *worker, struct request *request);

/* Some of its requests may have been answered: lets others see that. */
void tagged_worker_show(struct worker *worker);

/* Ends the instance if it hangs. */
void tagged_worker_check_time(struct workers *workers, struct worker *worker);

#endif
