/*
 * input: writes what a worker's instance is given, and waits for room.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_INPUT_H
#define BANTER_SERVER_HANDLERS_PROGRAM_INPUT_H

#include <stdbool.h>

#include "server/handlers/program/state.h"

/* Writes what there is room for; the rest follows when this is called again, once there is room.
 * The outcome is TURN_BROKEN if nobody reads it, TURN_LOST if memory is out. */
void input_write(struct workers *workers, struct worker *worker);

/* Does not wait for room any more. */
void input_unwatch(struct workers *workers, struct worker *worker);

/* Whether the instance was given requests and has not read a byte of the first that is left: its
 * input was empty then. */
bool input_is_unread(const struct workers *workers, const struct worker *worker);

#endif
