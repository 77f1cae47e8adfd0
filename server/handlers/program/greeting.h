/*
 * greeting: what an instance writes at its start, before it waits the first time. It is no answer:
 * its first line is logged, and it is dropped.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_GREETING_H
#define BANTER_SERVER_HANDLERS_PROGRAM_GREETING_H

#include <stdbool.h>
#include <stddef.h>

#include "server/handlers/program/state.h"

/* False, with TURN_LOST as the outcome, if it is too long. */
bool greeting_take(struct workers *workers, struct worker *worker, const char *text, size_t size);

/* The start is over. */
void greeting_log(const struct workers *workers, struct worker *worker);

#endif
