/*
 * timing: how long replies took, one by one and all together.
 *
 * The time of a reply is that from the moment at which its request was handed over to be sent to
 * the one at which the reply was read. Where requests are sent ahead that includes the wait behind
 * those in front: it is what whoever asked had to wait.
 */
#ifndef BANTER_CLIENT_TIMING_H
#define BANTER_CLIENT_TIMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timing;

/* All zero: nothing was timed. NULL when memory is out; timing_free() takes NULL. */
struct timing *timing_new(void);
void timing_free(struct timing *timing);

/* Adds a reply's time, in nanoseconds. */
void timing_add(struct timing *timing, int64_t ns);

#define TIMING_TEXT_SIZE 32
#define TIMING_SUMMARY_SIZE 200

/* Writes a time as "12.345 ms", always in milliseconds, so that a column of them can be sorted.
 * `text` has TIMING_TEXT_SIZE bytes; it is returned. */
const char *timing_text(int64_t ns, char *text);

/* Writes how many replies there were and their smallest, median, 99th percentile and largest time;
 * the two in the middle are at most 0.8 % too high. False, with nothing written, where nothing was
 * timed. `text` has TIMING_SUMMARY_SIZE bytes. */
bool timing_summary(const struct timing *timing, char *text);

#endif
