/*
 * ring: a thread's way into the log. A ring counts events and takes records of those that the log
 * wants; the writer's thread reads the records.
 *
 * A ring has one producer at a time and one reader, the writer; neither waits for the other. The
 * producer drops an event for which there is no room, and counts it; for those that all logs write,
 * such as the readiness line, some room is kept. All rings of a log are in one set, which wakes the
 * writer; any thread may sum their counts, without a lock.
 *
 * Threads that log need only the first part of this header; the rest is for the log itself.
 */
#ifndef BANTER_SERVER_LOG_RING_H
#define BANTER_SERVER_LOG_RING_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/log/record.h"

struct log_ring;

/* ---- the producer ---- */

/* Counts an event of session `session` (0: of none) and, if the log wants it, puts it in with
 * the text of its fields (record.h), which is copied. By the ring's producer. Nothing is written
 * before the next log_nudge(). A NULL ring is left alone. */
void log_put(struct log_ring *ring, enum log_event event, uint64_t session, const void *text,
             size_t size);

/* Wakes the writer if there is something for it to do; costs a load if there isn't. By the ring's
 * producer. A NULL ring is left alone. */
void log_nudge(struct log_ring *ring);

/* Gives the ring back to the log. The records that it holds will still be written, and its counts
 * stay. NULL is left alone. */
void log_ring_free(struct log_ring *ring);

/* ---- the set ---- */

struct log_rings {
    _Atomic uint64_t wanted; /* a bit for each event that is written */
    /* The newest ring. A ring stays until the set is freed, so any thread may walk the list without
     * a lock. */
    struct log_ring *_Atomic first;
    pthread_mutex_t lock; /* guards adding a ring, which are in use, and changing the level */
    sem_t wake;           /* the writer waits for it while `asleep` */
    /* The writer waits, or is about to: a producer must post. */
    _Atomic bool asleep;
};

/* With LOG_SILENT the rings only count, and have no memory for records. */
void log_rings_init(struct log_rings *rings, enum log_level level);

/* Changes the level; neither it nor the one before is LOG_SILENT. By any thread. Producers follow
 * soon. */
void log_rings_set_level(struct log_rings *rings, enum log_level level);

/* Frees all rings. No thread uses one any more. */
void log_rings_fini(struct log_rings *rings);

/* A ring that nobody uses, or a new one. NULL when memory is out. */
struct log_ring *log_rings_get(struct log_rings *rings);

/* Sums over all rings: how often an event happened; how many lines found no room. By any thread. A
 * sum may lack the most recent events, and never goes down. */
uint64_t log_rings_count(const struct log_rings *rings, enum log_event event);
uint64_t log_rings_dropped(const struct log_rings *rings);

/* Makes the writer return from log_rings_wait(), now or when it calls it next. By any thread. */
void log_rings_wake(struct log_rings *rings);

/* ---- the reader: for the writer's thread alone ---- */

/* Sleeps until some ring holds or has dropped something, until `until_ns` (CLOCK_MONOTONIC;
 * INT64_MAX: for ever), or for no reason. */
void log_rings_wait(struct log_rings *rings, int64_t until_ns);

/* Notes how much each ring holds: log_ring_next() goes no further. */
void log_rings_look(struct log_rings *rings);

/* The next ring of the set, for NULL the first. NULL after the last. */
struct log_ring *log_rings_next(struct log_rings *rings, struct log_ring *ring);

/* Sets the time of the next record, even if it has come since the last look. False if the ring is
 * empty. */
bool log_ring_peek(struct log_ring *ring, int64_t *time_ns);

/* Takes the next record if it was there at the last look and is not later than `until_ns`. Its text
 * is good until the next call or log_ring_release(). False if there is none. */
bool log_ring_next(struct log_ring *ring, int64_t until_ns, struct log_record *record);

/* How many bytes were taken but not released yet. */
size_t log_ring_taken(const struct log_ring *ring);

/* Gives the room of the records that were taken back to the producer. */
void log_ring_release(struct log_ring *ring);

/* How many events the ring has dropped since the last call. They happened after those it holds. */
uint64_t log_ring_take_dropped(struct log_ring *ring);

#endif
