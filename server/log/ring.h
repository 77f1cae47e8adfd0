/*
 * ring: a thread's way into the log. Events are counted here, and those that the log wants are
 * copied in as records; the writer's thread reads them out.
 *
 * A ring has one producer at a time and one reader, the writer; neither waits for the other. The
 * producer drops an event that finds no room, and counts it. All rings of a log are in one set,
 * which knows how to wake the writer and can be counted by any thread, without a lock.
 *
 * Loops, and whoever else logs, need only what comes first; the rest is for the log itself.
 */
#ifndef BANTER_SERVER_LOG_RING_H
#define BANTER_SERVER_LOG_RING_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/log/events.h"

struct log_ring;

/* ---- the producer ---- */

/* Counts an event of session `session` (0: of none) and, if the log wants it, puts it in with a
 * text of any bytes, which is copied. By the ring's producer. Nothing is written before the next
 * log_nudge(). A NULL ring is left alone. */
void log_put(struct log_ring *ring, enum log_event event, uint64_t session, const void *text,
             size_t size);

/* Wakes the writer if there is something for it to do; costs a load if there isn't. By the ring's
 * producer. A NULL ring is left alone. */
void log_nudge(struct log_ring *ring);

/* Gives the ring back. What it holds is still written, and what it counted stays counted. NULL is
 * left alone. */
void log_ring_free(struct log_ring *ring);

/* ---- the set ---- */

struct log_rings {
    uint64_t wanted; /* a bit for each event that is written; never changes */
    /* The newest ring. Rings are only added until the set is freed, so whoever has loaded this, or
     * a ring's `next`, may walk on without a lock. */
    struct log_ring *_Atomic first;
    pthread_mutex_t lock; /* guards adding a ring, and which rings are in use */
    sem_t wake;           /* the writer waits for it while `asleep` */
    /* The writer waits, or is about to: whoever puts something in must post. */
    _Atomic bool asleep;
};

/* With LOG_SILENT the rings only count, and have no memory for records. */
void log_rings_init(struct log_rings *rings, enum log_level level);

/* Frees all rings. No thread uses one any more. */
void log_rings_fini(struct log_rings *rings);

/* A ring that nobody uses, or a new one. NULL when memory is out. */
struct log_ring *log_rings_get(struct log_rings *rings);

/* Sums over all rings: how often an event happened, and how many lines found no room. By any
 * thread. A sum may lack what happens meanwhile; it never goes down. */
uint64_t log_rings_count(const struct log_rings *rings, enum log_event event);
uint64_t log_rings_dropped(const struct log_rings *rings);

/* Makes the writer return from log_rings_wait(), now or when it calls it next. By any thread. */
void log_rings_wake(struct log_rings *rings);

/* ---- the reader: all of this is called by the writer's thread alone ---- */

struct log_record {
    enum log_event event;
    uint64_t session;
    const char *text; /* good until the next log_ring_next() or log_ring_release() */
    size_t size;      /* of the text; at most 64 KiB */
    size_t full_size; /* what the text had before it was cut; at most UINT32_MAX */
};

/* Sleeps until some ring holds or has dropped something, or for no reason. */
void log_rings_wait(struct log_rings *rings);

/* Remembers what each ring holds: log_ring_next() gives no more than that. */
void log_rings_look(struct log_rings *rings);

/* The ring behind this one in the set, and the first one for NULL. NULL: there are no more. */
struct log_ring *log_rings_next(struct log_rings *rings, struct log_ring *ring);

/* The time of the next record, also if it has come since the last look. False when there is
 * none. */
bool log_ring_peek(struct log_ring *ring, int64_t *time_ns);

/* Takes the next record that was there at the last look and is not later than `until_ns`. False
 * when there is none. */
bool log_ring_next(struct log_ring *ring, int64_t until_ns, struct log_record *record);

/* How many bytes were taken and not released yet. */
size_t log_ring_taken(const struct log_ring *ring);

/* Gives the room of what was taken back to the producer. */
void log_ring_release(struct log_ring *ring);

/* How many lines the ring has dropped since this was last called. They come behind what the ring
 * holds. */
uint64_t log_ring_take_dropped(struct log_ring *ring);

#endif
