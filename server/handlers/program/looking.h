/*
 * looking: when a worker's instance is looked at next, and what a look tells of its turn. Nothing
 * announces that a process waits, so it is looked at again and again, at growing intervals.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_LOOKING_H
#define BANTER_SERVER_HANDLERS_PROGRAM_LOOKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/handlers/program/answer.h"
#include "server/handlers/program/state.h"

enum {
    LOOKING_FIRST_US = 20, /* from one look to the next; doubles */
    LOOKING_MAX_US = 1000,
};

/* Looks after so long; after twice the time of before; never. */
void looking_after(struct workers *workers, struct worker *worker, int64_t delay_us);
void looking_again(struct workers *workers, struct worker *worker);
void looking_stop(struct workers *workers, struct worker *worker);

/* Looks now: TURN_WORKS, TURN_RESTS or TURN_WAITS. `*unsure` if it would be TURN_WAITS but for
 * threads, children or the system's silence. */
enum turn_state looking_once(struct workers *workers, struct worker *worker, bool *unsure);

/* The same for a turn that ends without a word if the instance waits: sees whether it is frozen,
 * too (freezer.h), which costs more. */
enum turn_state looking_closely(struct workers *workers, struct worker *worker, bool *unsure);

/* Whether it has been unsure without a break for so long that it will stay so. */
bool looking_stays_unsure(const struct workers *workers, const struct worker *worker);

/* Why the last look did not find TURN_WAITS, as a sentence about the worker. */
void looking_describe_unseen(const struct worker *worker, char *text, size_t size);

#endif
