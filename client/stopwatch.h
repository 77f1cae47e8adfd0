/*
 * stopwatch: --time: how long replies took, one by one and all together.
 *
 * The time of a reply runs from the moment at which its request was handed over to be sent until
 * the reply was read. If requests are sent ahead it includes the wait behind those in front: the
 * user had to wait that long.
 */
#ifndef BANTER_CLIENT_STOPWATCH_H
#define BANTER_CLIENT_STOPWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "client/owed.h"
#include "common/buffer.h"

/* Embedded by value; all zero is a stopwatch that does not run. */
struct stopwatch {
    struct stopwatch_times *times; /* owned; NULL: it does not run */
    /* For a batch only. */
    const char *unit; /* the name of one request: "input line" */
    struct owed_queue owed;
    uint64_t answered;
    int64_t now_ns;      /* as it was read last */
    struct buffer lines; /* not written yet */
};

/* Starts it if it is wanted. False if memory is out. `unit` NULL: not for a batch. */
bool stopwatch_init(struct stopwatch *stopwatch, bool is_wanted, const char *unit);
void stopwatch_fini(struct stopwatch *stopwatch);

static inline bool stopwatch_runs(const struct stopwatch *stopwatch) { return stopwatch->times; }

/* ---- times ---- */

#define STOPWATCH_TEXT_SIZE 32
#define STOPWATCH_SUMMARY_SIZE 200

/* Adds the time of a reply. The stopwatch must run. */
void stopwatch_add(struct stopwatch *stopwatch, int64_t ns);

/* Writes a time as "12.345 ms" to `text`, which has STOPWATCH_TEXT_SIZE bytes, and returns it. The
 * unit is always the same, so that a column of times can be sorted. */
const char *stopwatch_text(int64_t ns, char *text);

/* Writes the number of replies and their smallest, median, 99th percentile and largest time; the
 * two in the middle are at most 0.8 % too high. `text` has STOPWATCH_SUMMARY_SIZE bytes. False,
 * with nothing written, if nothing was timed. */
bool stopwatch_summary(const struct stopwatch *stopwatch, char *text);

/* ---- for a batch ---- */

/* It keeps the requests, and writes a line of standard error for each reply. The clock is read once
 * for all that is done in a row: lines go out by the million. Each of these does nothing if the
 * stopwatch does not run. */

/* Reads the clock. */
void stopwatch_read_clock(struct stopwatch *stopwatch);

/* A request was handed over to be sent, or answered, at the time that was read last. If there is no
 * memory for a request the stopwatch stops: false. */
bool stopwatch_asked(struct stopwatch *stopwatch);
void stopwatch_answered(struct stopwatch *stopwatch);

/* Whether lines wait to be written, if possible behind the replies that they are about; and whether
 * they are too many to be kept. */
bool stopwatch_has_lines(const struct stopwatch *stopwatch);
bool stopwatch_has_many(const struct stopwatch *stopwatch);

/* Writes the lines; at the end, also the summary. */
void stopwatch_write(struct stopwatch *stopwatch);
void stopwatch_sum_up(struct stopwatch *stopwatch);

#endif
