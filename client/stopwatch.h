/*
 * stopwatch: --time where there is no prompt: how long each reply took, a line of standard error
 * for each, and all of them together at the end.
 *
 * The clock is read once for all that is done in a row, so that lines that are sent ahead by the
 * million cost little. Embedded by value.
 */
#ifndef BANTER_CLIENT_STOPWATCH_H
#define BANTER_CLIENT_STOPWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "client/owed.h"
#include "client/timing.h"
#include "common/buffer.h"

struct stopwatch {
    struct timing *timing; /* owned; NULL: it does not run, and the functions do nothing */
    const char *unit;      /* what one request is called: "input line" */
    struct owed_queue owed;
    uint64_t answered;
    int64_t now_ns;
    struct buffer lines; /* not written yet */
};

/* Starts it where it is wanted. False when memory is out. */
bool stopwatch_init(struct stopwatch *stopwatch, bool is_wanted, const char *unit);
void stopwatch_fini(struct stopwatch *stopwatch);

static inline bool stopwatch_runs(const struct stopwatch *stopwatch)
{
    return stopwatch->timing != NULL;
}

/* Reads the clock. */
void stopwatch_look(struct stopwatch *stopwatch);

/* A request was handed over to be sent, or answered, at the time of the last look. A request for
 * which there is no memory stops the stopwatch: false. */
bool stopwatch_asked(struct stopwatch *stopwatch);
void stopwatch_answered(struct stopwatch *stopwatch);

/* Whether lines are waiting to be written, if possible behind the replies that they are about; whether
 * they are too many to be kept any longer; and writes them, or all that is known at the end. */
bool stopwatch_has_lines(const struct stopwatch *stopwatch);
bool stopwatch_has_many(const struct stopwatch *stopwatch);
void stopwatch_tell(struct stopwatch *stopwatch);
void stopwatch_sum_up(struct stopwatch *stopwatch);

#endif
