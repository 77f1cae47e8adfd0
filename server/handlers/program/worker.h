/*
 * worker: a place for one instance of the program: gives the instance a request when it is its
 * turn, and replaces an instance that has ended or can't be trusted any more.
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

/* A worker is down when this many instances in a row have ended before their first answer. */
enum { WORKER_MAX_FAILURES = 5, WORKER_MAX_DELAY_MS = 5000 };

#define WORKER_DOWN_TEXT                                                                           \
    "the program has failed again and again; it is tried anew every few seconds"

void workers_init(struct workers *workers, struct instances *instances,
                  const struct turn_rules *rules);

/* Ends the instance, gently or not, and releases the request. */
void worker_fini(struct workers *workers, struct worker *worker, bool gently);

/* Starts its instance. Returns 0, or the errno of what failed: then it will try again. */
int worker_start(struct workers *workers, struct worker *worker);

/* on_demand: starts the instance of the first that waits for its turn to start. False: there is
 * none, or there are as many that start as there may be. */
bool workers_start_next(struct workers *workers);
bool workers_may_start(const struct workers *workers);

/* Lets it wait for its turn to start, from start_ms on. */
void worker_start_in_turn(struct workers *workers, struct worker *worker);

/* Whether its instances have failed so often that no request should wait for the next one. */
bool worker_is_down(const struct worker *worker);

/* All are down: its next try comes in WORKER_MAX_DELAY_MS. */
void worker_retry_slowly(struct workers *workers, struct worker *worker);

/* Whether an idle worker's instance has written nothing unasked: else it is lost. */
bool worker_stays_idle(struct workers *workers, struct worker *worker);

/* An idle worker whose instance has written nothing unasked; NULL: there is none. */
struct worker *workers_idle(struct workers *workers);

/* Gives it requests of one session, most often one, with their holds. The worker is idle; or it
 * belongs to a session and has no turn: then they wait for the instance. */
void worker_give(struct workers *workers, struct worker *worker, struct request *const *requests,
                 unsigned count);

/* The worker's instances are to have up to `count` requests at once, each with an ID (tagged.h).
 * Before the first one is started. False: out of memory. */
bool worker_use_ids(struct worker *worker, unsigned count);

/* Of such workers, the one with the fewest requests; NULL: no instance has room. */
struct worker *workers_with_room(struct workers *workers);

/* Such a worker, which has room, takes a request, with its hold; and writes all that it took. */
void worker_add(struct workers *workers, struct worker *worker, struct request *request);
void worker_write_added(struct workers *workers, struct worker *worker);

/* Events of its instance. */
void worker_read(struct workers *workers, struct worker *worker);
void worker_write(struct workers *workers, struct worker *worker);
void worker_exited(struct workers *workers, struct worker *worker);

/* Looks at the instances at which a look is due. */
void workers_look(struct workers *workers);

/* Acts if its time has come, and schedules the next time. */
void worker_act(struct workers *workers, struct worker *worker);

#endif
