/*
 * charge: the requests that a worker is in charge of, from when it takes them until each is
 * answered, over, or given back.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_CHARGE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_CHARGE_H

#include <stdbool.h>

#include "server/handlers/program/state.h"

/* Takes over the holds of one or several of a session; they are not given to an instance yet. */
void charge_take(struct worker *worker, struct request *const *requests, unsigned count);

/* They are being given to an instance. If they are several their time is this worker's to keep from
 * now on. */
void charge_stop_clock(struct workers *workers, struct worker *worker);

/* All of them go, answered or over: the session's next ones can come. */
void charge_release(struct workers *workers, struct worker *worker);

/* Several were given: those whose whole replies are there get them. */
void charge_reply_to_first(struct workers *workers, struct worker *worker);

/* The lost instance was at the first request that is left. What it knew of a session that has it to
 * itself is gone, and so the error is the session's last answer. */
void charge_fail_first(const struct workers *workers, struct worker *worker, const char *code,
                       const char *text);

/* The lost instance does not get to the requests that are left: they go to another one. */
void charge_give_back(struct workers *workers, struct worker *worker);

/* All are refused, as the program has failed again and again. */
void charge_refuse_unavailable(struct workers *workers, struct worker *worker);

/* The worker is about to be gone: releases them. */
void charge_fini(struct workers *workers, struct worker *worker);

#endif
