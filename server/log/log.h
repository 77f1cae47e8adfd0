/*
 * log: what happens, one event a line, written by a thread of its own; and how often it happened.
 *
 * An event costs the thread it happens in a count and, if the log's level wants it, a copy into a
 * ring (ring.h); escaping, formatting and write(2) are the writer's. Each loop has a ring of its
 * own, so that loops share no lock; all other threads share one. A ring that is full because the
 * log's reader is slow drops the event, and the log says how many were dropped: logging never
 * delays a request. The events and their wordings are in events.h.
 */
#ifndef BANTER_SERVER_LOG_LOG_H
#define BANTER_SERVER_LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "server/log/events.h"
#include "server/log/ring.h"

struct log;

/* ---- opening and closing ---- */

/* Starts the writer on `fd`, which stays the caller's. The caller ignores SIGPIPE. With LOG_SILENT
 * there is no writer and `fd` is not looked at: events are counted, and that is all. NULL, with
 * `error` set, when memory or threads are out. */
struct log *log_open(int fd, enum log_level level, struct error *error);

/* Writes what is left, waiting for the reader at most a second from its last sign of life, and ends
 * the writer. What is logged later is counted, and never written. NULL is left alone. */
void log_stop(struct log *log);

/* Frees a log that was stopped, with all of its rings, when nobody logs any more. NULL is left
 * alone. */
void log_free(struct log *log);

/* ---- logging ---- */

/* Whether an event is written: lets a caller skip making its text. False for a NULL log. */
bool log_wants(const struct log *log, enum log_event event);

/* A ring for one thread at a time, for log_put() and log_nudge(); log_ring_free() gives it back.
 * NULL when memory is out, and for a NULL log. */
struct log_ring *log_ring_new(struct log *log);

/* Logs from any thread, printf-like, and wakes the writer. A NULL log is left alone. */
void log_tell(struct log *log, enum log_event event, uint64_t session, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- counting ---- */

/* By any thread, without a lock, from log_open() to log_free(). What is going on meanwhile may not
 * be in the number yet; it never goes down. */

/* How often an event happened, whether it was written or not. */
uint64_t log_count(const struct log *log, enum log_event event);

/* How many lines were written, those about dropped lines included. */
uint64_t log_lines(const struct log *log);

/* How many lines were dropped: no room in a ring, or not to be written. */
uint64_t log_dropped(const struct log *log);

#endif
