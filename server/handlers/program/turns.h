/*
 * turns: what happens between a worker and its instance, from the start of an instance on: writes
 * the request (input.h), reads what comes (output.h), looks whether the turn is over (looking.h),
 * and judges (judge.h). What is to
 * become of the worker is for the caller to do.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_TURNS_H
#define BANTER_SERVER_HANDLERS_PROGRAM_TURNS_H

#include "server/handlers/program/outcome.h"

/* The instance was started: from now on it is looked at, until TURN_READY. */
enum turn_outcome turns_start(struct workers *workers, struct worker *worker);

/* It has been given its request: the same, until TURN_OVER. */
enum turn_outcome turns_begin(struct workers *workers, struct worker *worker);

/* Requests were added to worker.tagged: writes them. */
enum turn_outcome turns_write_tagged(struct workers *workers, struct worker *worker);

/* A look at it is due. */
enum turn_outcome turns_look(struct workers *workers, struct worker *worker);

/* Events of it: it has written, its input has room, its process has ended (TURN_LOST). */
enum turn_outcome turns_read(struct workers *workers, struct worker *worker);
enum turn_outcome turns_write(struct workers *workers, struct worker *worker);
enum turn_outcome turns_exited(struct workers *workers, struct worker *worker);

/* Neither looks at it any more, nor waits for room in its input. */
void turns_stop(struct workers *workers, struct worker *worker);

/* Looks whether an idle instance has written something that nobody asked for (TURN_LOST). */
enum turn_outcome turns_check(struct workers *workers, struct worker *worker);

#endif
