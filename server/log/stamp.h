/*
 * stamp: the time of a record as people and programs read it.
 *
 * Records have the time of CLOCK_MONOTONIC. What lies between it and the time of day is looked up
 * by the writer, not by those who log. It changes only when the clock is set: what two readings of
 * clocks that don't stop have between them is no change, so times never go back by themselves.
 *
 * For the writer alone.
 */
#ifndef BANTER_SERVER_LOG_STAMP_H
#define BANTER_SERVER_LOG_STAMP_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_STAMP_BYTES = 40 }; /* more than a stamp has */

/* All zero at first. */
struct log_stamp {
    int64_t offset_ns; /* from CLOCK_MONOTONIC to the time of day */
    bool is_known;     /* what the offset is */
    int64_t second;    /* that `text` shows */
    char text[LOG_STAMP_BYTES];
};

/* Looks at the clocks. Before the first stamp, and now and then. */
void log_stamp_look(struct log_stamp *stamp);

/* The part of it that reads no clock: the time of day was `day_ns` at some time from `from_ns` to
 * `to_ns`. */
void log_stamp_adjust(struct log_stamp *stamp, int64_t from_ns, int64_t day_ns, int64_t to_ns);

/* Writes such as 2026-11-25T23:22:48.123456Z, without a NUL. Returns the end. */
char *log_stamp_put(struct log_stamp *stamp, char *at, int64_t time_ns);

#endif
