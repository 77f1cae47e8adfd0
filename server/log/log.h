/*
 * log: the server's events, one a line, and how often each of them happened.
 *
 * An event costs its thread a count and, if the log's level wants it, a copy into a ring (ring.h);
 * a writer's thread escapes, formats and writes (writer.h). Each loop has a ring, so that loops
 * share no lock; all other threads share one more. If the log's reader is slow and a ring is full,
 * the event is dropped, and the log says how many were: logging never delays a request. The events
 * and their wordings are in events.h.
 *
 * Who includes whom in this folder: log > writer > ring and render > the others > record > events.
 */
#ifndef BANTER_SERVER_LOG_LOG_H
#define BANTER_SERVER_LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "server/log/events.h"
#include "server/log/render.h"
#include "server/log/ring.h"

struct log;

/* ---- opening and closing ---- */

/* Starts the writer on `fd`, which stays the caller's. The caller ignores SIGPIPE. With LOG_SILENT
 * there is no writer, `fd` is not used, and events are only counted. NULL, with `error` set, when
 * memory or threads are out. */
struct log *log_open(int fd, enum log_level level, struct log_style style, struct error *error);

/* Writes the remaining lines, for which the log's reader gets at most a second from its last sign
 * of life and five seconds in all, and ends the writer. Later events are counted but never written.
 * False if the writer does not come back from a write(2) and is left behind: then the log may not
 * be freed. NULL is left alone: true. */
bool log_stop(struct log *log);

/* Frees a log that was stopped, with all of its rings, when nobody logs any more. NULL is left
 * alone. */
void log_free(struct log *log);

/* ---- logging ---- */

/* Whether an event is written: lets a caller skip making its text. False for a NULL log. */
bool log_wants(const struct log *log, enum log_event event);

/* Changes what is written, from any thread. A log that was opened silent stays so, and none becomes
 * it. */
void log_set_level(struct log *log, enum log_level level);

/* A ring for one thread at a time, for log_put() and log_nudge(); log_ring_free() gives it back.
 * NULL when memory is out, and for a NULL log. */
struct log_ring *log_ring_new(struct log *log);

/* Logs from any thread, printf-like, and wakes the writer. LOG_SEPARATOR stands between fields, by
 * a %c. A NULL log is left alone. */
void log_tell(struct log *log, enum log_event event, uint64_t session, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- counting ---- */

/* For any thread, without a lock, from log_open() to log_free(). The numbers may lack the most
 * recent events, and never go down. */

/* How often an event happened, whether it was written or not. */
uint64_t log_count(const struct log *log, enum log_event event);

/* How many lines were written, those about dropped lines included. */
uint64_t log_lines(const struct log *log);

/* How many lines were dropped, for want of room in a ring or because they could not be written. */
uint64_t log_dropped(const struct log *log);

#endif
