/*
 * respawn: from one instance of a worker to the next: starts it, ends it when it is lost or is to
 * be replaced, and waits the longer before the next one the more of them have failed in a row.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_RESPAWN_H
#define BANTER_SERVER_HANDLERS_PROGRAM_RESPAWN_H

#include <stdbool.h>

#include "server/handlers/program/state.h"

/* A worker is down when this many instances in a row have ended before their first answer. */
enum { WORKER_MAX_FAILURES = 5, WORKER_MAX_DELAY_MS = 5000 };

/* Starts its instance. Returns 0, or the errno of what failed: then it will try again. */
int worker_start(struct workers *workers, struct worker *worker);

/* Whether its instances have failed so often that no request should wait for the next one. */
bool worker_is_down(const struct worker *worker);

/* All are down: its next try comes in WORKER_MAX_DELAY_MS. */
void worker_retry_slowly(struct workers *workers, struct worker *worker);

/* It is not ready for a request within the start's time. */
void worker_give_up_start(struct workers *workers, struct worker *worker);

/* Ends the instance, and answers the request that was given to it with an error; or, if the
 * instance has not read any of that, gives it to another one. The next instance comes at once if
 * this one has answered; else the more have failed, the later. */
void worker_lose(struct workers *workers, struct worker *worker, const char *why);

/* The turn is over, but another instance shall take this one's place, which is no failure: it is
 * started first. */
void worker_replace(struct workers *workers, struct worker *worker);

/* The instance can't go on. How it ends, if it does, will be known in a moment. */
void worker_break_off(struct workers *workers, struct worker *worker);

/* The worker is about to be gone: ends the instance, if there is one, gently or not. */
void worker_end_instance(struct workers *workers, struct worker *worker, bool gently);

#endif
