/*
 * worker: a place for one instance of the program: gives the instance a request when it is its
 * turn, and takes its events. An instance that has ended or can't be trusted any more is replaced
 * (respawn.h).
 *
 * An instance is given a request only when it waits for one (or rests: look.h), and what it writes
 * until it waits again belongs to that request. So an answer of no line or of several costs one
 * error, and the instance stays; what is written between two turns ends it.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_WORKER_H
#define BANTER_SERVER_HANDLERS_PROGRAM_WORKER_H

#include <stdbool.h>

#include "server/handlers/program/state.h"

void workers_init(struct workers *workers, struct instances *instances,
                  const struct turn_rules *rules);

/* It is one of them, until worker_fini(). */
void workers_add(struct workers *workers, struct worker *worker);

/* Ends the instance, gently or not, and releases the request. */
void worker_fini(struct workers *workers, struct worker *worker, bool gently);

/* on_demand: starts the instance of the next one that waits for that, if it may. */
void workers_start_next(struct workers *workers);

/* Whether an idle worker's instance has written nothing unasked: else it is lost. */
bool worker_stays_idle(struct workers *workers, struct worker *worker);

/* An idle worker whose instance has written nothing unasked; NULL: there is none. */
struct worker *workers_idle(struct workers *workers);

/* How many requests of a session are given at once, at most. */
unsigned workers_most_at_once(const struct workers *workers);

/* Gives it requests of one session, most often one, with their holds. The worker is idle; or it
 * belongs to a session and has no turn: then they wait for the instance. */
void worker_give(struct workers *workers, struct worker *worker, struct request *const *requests,
                 unsigned count);

/* Writes what the tagged worker has taken (tagged_worker.h). */
void worker_write_added(struct workers *workers, struct worker *worker);

/* Events of its instance. */
void worker_read(struct workers *workers, struct worker *worker);
void worker_write(struct workers *workers, struct worker *worker);
void worker_exited(struct workers *workers, struct worker *worker);

/* Looks at the instances at which a look is due. */
void workers_look(struct workers *workers);

/* Acts on those whose time has come, and schedules the next time. */
void workers_act(struct workers *workers);

#endif
