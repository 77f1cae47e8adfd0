/*
 * starts: the order in which workers of sessions, and spares, start their instances: some at a
 * time, sessions before spares, and behind what runs (patience.h). Shared workers start when they
 * like.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_STARTS_H
#define BANTER_SERVER_HANDLERS_PROGRAM_STARTS_H

#include <stdbool.h>

#include "server/handlers/program/state.h"

/* The worker waits for its turn to start, from start_ms on; or does not any more. */
void starts_wait(struct workers *workers, struct worker *worker);
void starts_leave(struct workers *workers, struct worker *worker);

/* Whether one waits and may start now. */
bool starts_may_start(const struct workers *workers);

/* The next one that is to start, which waits no longer; NULL: there is none, or there are as many
 * that start as there may be. */
struct worker *starts_next(struct workers *workers);

/* Its instance was started: it is counted as one that starts, and goes behind those that run. */
void starts_begin(struct workers *workers, struct worker *worker);

/* It has started, or costs the others nothing any more. Does nothing if it is not counted. */
void starts_end(struct workers *workers, struct worker *worker);

/* It still starts, and starts_until_ms has come: whether that costs the others anything. */
void starts_check(struct workers *workers, struct worker *worker);

#endif
