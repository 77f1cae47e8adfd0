/*
 * ring: see ring.h.
 *
 * `head` and `tail` count the bytes ever put in and taken out. Only the producer advances `head`,
 * only the reader `tail`, each with a release that the other acquires. Three more invariants:
 *
 * - A ring that was given back goes to another producer as it is, with the records of the previous
 *   one; `lock` orders the two.
 * - A record has the time of its batch, which begins with the first event after a nudge, and with
 *   each event but messages: those are too many for a look at the clock each. The reader merges
 *   rings by these times. An event in one ring that leads to one in another comes
 *   before it in the log only if the first ring is nudged in between, as when a session moves.
 * - Either log_nudge() sees that the reader is asleep and wakes it, or the reader, which checks the
 *   rings after it has set `asleep`, sees the new record. For this `head`, `first` and `asleep` are
 *   sequentially consistent.
 */
#include "server/log/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/counter.h"

enum {
    RING_BYTES = 1 << 20, /* a power of two */
    TEXT_MAX = 64 << 10,  /* a longer text is cut in the log */
    /* Kept for the events that all logs write: two for each listener, and the stop. */
    KEPT_BYTES = 16 << 10,
    REWIND_BYTES = 16 << 10 /* an empty ring begins anew when this much of it was used */
};

/* The bytes before each text in a ring. Records follow each other without padding. */
struct record {
    int64_t time_ns;
    uint64_t session;
    uint32_t size;      /* bytes of text that follow */
    uint32_t full_size; /* its size before it was cut; capped */
    uint32_t event;
    uint32_t reserved;
};

struct log_ring {
    /* The producer's, on cache lines that others seldom read. */
    _Alignas(64) _Atomic size_t head; /* bytes ever put in */
    size_t tail_seen;                 /* `tail` when it was last looked at */
    /* The value of `head` that is at bytes[0]. Changes only while the ring is empty, and the reader
     * uses it only after it has seen a record. */
    size_t start;
    int64_t batch_ns;        /* when the batch has begun; 0: it has not since the last nudge */
    _Atomic uint64_t wanted; /* the set's */
    uint64_t exact;          /* the events that have their own time: all but messages */
    uint64_t always;         /* log_events_always() */
    struct log_rings *rings;
    struct counter dropped;           /* lines that found no room */
    struct counter count[LOG_EVENTS]; /* events, wanted or not */
    /* The reader's. */
    _Alignas(64) _Atomic size_t tail; /* bytes ever taken out, and released */
    size_t taken;                     /* bytes ever taken out */
    size_t head_seen;                 /* `head` at the last look */
    uint64_t dropped_seen;            /* `dropped` when it was last asked for */
    /* The set's. */
    struct log_ring *next; /* constant once the ring is in the set */
    bool in_use;           /* guarded by rings->lock */
    char bytes[];          /* RING_BYTES; none if the log is silent */
};

/* ---- the producer ---- */

static size_t index_of(const struct log_ring *ring, size_t at)
{
    return (at - ring->start) & (RING_BYTES - 1);
}

static void copy_in(struct log_ring *ring, size_t at, const void *data, size_t size)
{
    size_t index = index_of(ring, at);
    size_t first = RING_BYTES - index;
    if (size <= first) {
        memcpy(ring->bytes + index, data, size);
        return;
    }
    memcpy(ring->bytes + index, data, first);
    memcpy(ring->bytes, (const char *) data + first, size - first);
}

static bool has_room(struct log_ring *ring, size_t head, size_t size)
{
    if (head - ring->tail_seen + size <= RING_BYTES)
        return true;
    ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    return head - ring->tail_seen + size <= RING_BYTES;
}

/* A reader that keeps up needs the first pages of a ring only: the others cost no memory, and these
 * stay in the cache. */
static void begin_batch(struct log_ring *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    ring->batch_ns = clock_ns(CLOCK_MONOTONIC);
    if (head - ring->start < REWIND_BYTES)
        return;
    ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (ring->tail_seen == head)
        ring->start = head;
}

/* Apart from log_put(), so that an event that the log does not want costs no more than the count
 * and the question. */
static __attribute__((noinline)) void put_record(struct log_ring *ring, enum log_event event,
                                                 uint64_t session, const void *text, size_t size)
{
    if (!ring->batch_ns || ring->exact >> event & 1)
        begin_batch(ring);
    struct record record = {
        .time_ns = ring->batch_ns,
        .session = session,
        .size = (uint32_t) (size < TEXT_MAX ? size : TEXT_MAX),
        .full_size = (uint32_t) (size < UINT32_MAX ? size : UINT32_MAX),
        .event = event,
    };
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t whole = sizeof record + record.size;
    if (!has_room(ring, head, whole + KEPT_BYTES) &&
        !(ring->always >> event & 1 && has_room(ring, head, whole))) {
        counter_add(&ring->dropped, 1);
        return;
    }
    copy_in(ring, head, &record, sizeof record);
    if (record.size)
        copy_in(ring, head + sizeof record, text, record.size);
    atomic_store_explicit(&ring->head, head + whole, memory_order_release);
}

void log_put(struct log_ring *ring, enum log_event event, uint64_t session, const void *text,
             size_t size)
{
    if (!ring)
        return;
    counter_add(&ring->count[event], 1);
    if (atomic_load_explicit(&ring->wanted, memory_order_relaxed) >> event & 1)
        put_record(ring, event, session, text, size);
}

static void wake_if_asleep(struct log_rings *rings)
{
    if (atomic_load(&rings->asleep) && atomic_exchange(&rings->asleep, false))
        sem_post(&rings->wake);
}

void log_nudge(struct log_ring *ring)
{
    if (!ring || !ring->batch_ns)
        return;
    ring->batch_ns = 0;
    /* Stores the same value again, so that it comes before the load of `asleep`. */
    atomic_store(&ring->head, atomic_load_explicit(&ring->head, memory_order_relaxed));
    wake_if_asleep(ring->rings);
}

void log_ring_free(struct log_ring *ring)
{
    if (!ring)
        return;
    log_nudge(ring);
    pthread_mutex_lock(&ring->rings->lock);
    ring->in_use = false;
    pthread_mutex_unlock(&ring->rings->lock);
}

/* ---- the set ---- */

void log_rings_init(struct log_rings *rings, enum log_level level)
{
    *rings = (struct log_rings){0};
    atomic_store(&rings->wanted, log_events_wanted(level));
    pthread_mutex_init(&rings->lock, NULL);
    sem_init(&rings->wake, 0, 0);
}

void log_rings_set_level(struct log_rings *rings, enum log_level level)
{
    uint64_t wanted = log_events_wanted(level);
    pthread_mutex_lock(&rings->lock);
    atomic_store(&rings->wanted, wanted);
    for (struct log_ring *ring = atomic_load(&rings->first); ring; ring = ring->next)
        atomic_store_explicit(&ring->wanted, wanted, memory_order_relaxed);
    pthread_mutex_unlock(&rings->lock);
}

void log_rings_fini(struct log_rings *rings)
{
    for (struct log_ring *ring = atomic_load(&rings->first), *next; ring; ring = next) {
        next = ring->next;
        free(ring);
    }
    sem_destroy(&rings->wake);
    pthread_mutex_destroy(&rings->lock);
}

/* The pages for records stay untouched, and so unbacked, until they are used. */
static struct log_ring *new_ring(struct log_rings *rings)
{
    size_t size = sizeof(struct log_ring) + (rings->wanted ? RING_BYTES : 0);
    struct log_ring *ring = aligned_alloc(_Alignof(struct log_ring), size);
    if (!ring)
        return NULL;
    memset(ring, 0, sizeof *ring);
    ring->rings = rings;
    atomic_store(&ring->wanted, atomic_load(&rings->wanted));
    ring->always = log_events_always();
    ring->exact = log_events_wanted(LOG_CONNECTIONS);
    return ring;
}

struct log_ring *log_rings_get(struct log_rings *rings)
{
    pthread_mutex_lock(&rings->lock);
    struct log_ring *first = atomic_load(&rings->first);
    struct log_ring *ring = first;
    while (ring && ring->in_use)
        ring = ring->next;
    if (!ring && (ring = new_ring(rings))) {
        ring->next = first;
        atomic_store(&rings->first, ring);
    }
    if (ring)
        ring->in_use = true;
    pthread_mutex_unlock(&rings->lock);
    return ring;
}

uint64_t log_rings_count(const struct log_rings *rings, enum log_event event)
{
    uint64_t sum = 0;
    for (struct log_ring *ring = atomic_load(&rings->first); ring; ring = ring->next)
        sum += counter_get(&ring->count[event]);
    return sum;
}

uint64_t log_rings_dropped(const struct log_rings *rings)
{
    uint64_t sum = 0;
    for (struct log_ring *ring = atomic_load(&rings->first); ring; ring = ring->next)
        sum += counter_get(&ring->dropped);
    return sum;
}

void log_rings_wake(struct log_rings *rings) { sem_post(&rings->wake); }

/* ---- the reader ---- */

struct log_ring *log_rings_next(struct log_rings *rings, struct log_ring *ring)
{
    return ring ? ring->next : atomic_load(&rings->first);
}

static void copy_out(const struct log_ring *ring, size_t at, void *data, size_t size)
{
    size_t index = index_of(ring, at);
    size_t first = RING_BYTES - index < size ? RING_BYTES - index : size;
    memcpy(data, ring->bytes + index, first);
    memcpy((char *) data + first, ring->bytes, size - first);
}

/* A text, in its place or, if the end of the ring cuts it in two, a copy. */
static const char *text_at(const struct log_ring *ring, size_t at, size_t size)
{
    static _Thread_local char copy[TEXT_MAX];
    size_t index = index_of(ring, at);
    if (size <= RING_BYTES - index)
        return ring->bytes + index;
    copy_out(ring, at, copy, size);
    return copy;
}

static bool is_empty(struct log_ring *ring) { return atomic_load(&ring->head) == ring->taken; }

/* Whether there is nothing for the reader to do. */
static bool all_empty(struct log_rings *rings)
{
    for (struct log_ring *ring = atomic_load(&rings->first); ring; ring = ring->next)
        if (!is_empty(ring) || counter_get(&ring->dropped) != ring->dropped_seen)
            return false;
    return true;
}

void log_rings_wait(struct log_rings *rings, int64_t until_ns)
{
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
    atomic_store(&rings->asleep, true);
    if (!all_empty(rings) && atomic_exchange(&rings->asleep, false))
        return;
    while (sem_clockwait(&rings->wake, CLOCK_MONOTONIC, &until) != 0 && errno == EINTR)
        continue;
}

void log_rings_look(struct log_rings *rings)
{
    for (struct log_ring *ring = atomic_load(&rings->first); ring; ring = ring->next)
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
}

bool log_ring_peek(struct log_ring *ring, int64_t *time_ns)
{
    if (is_empty(ring))
        return false;
    struct record record;
    copy_out(ring, ring->taken, &record, sizeof record);
    *time_ns = record.time_ns;
    return true;
}

bool log_ring_next(struct log_ring *ring, int64_t until_ns, struct log_record *next)
{
    if (ring->taken == ring->head_seen)
        return false;
    struct record record;
    copy_out(ring, ring->taken, &record, sizeof record);
    if (record.time_ns > until_ns)
        return false;
    *next = (struct log_record){
        .time_ns = record.time_ns,
        .event = record.event,
        .session = record.session,
        .text = text_at(ring, ring->taken + sizeof record, record.size),
        .size = record.size,
        .full_size = record.full_size,
    };
    ring->taken += sizeof record + record.size;
    return true;
}

size_t log_ring_taken(const struct log_ring *ring)
{
    return ring->taken - atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

void log_ring_release(struct log_ring *ring)
{
    atomic_store_explicit(&ring->tail, ring->taken, memory_order_release);
}

uint64_t log_ring_take_dropped(struct log_ring *ring)
{
    uint64_t dropped = counter_get(&ring->dropped);
    uint64_t since = dropped - ring->dropped_seen;
    ring->dropped_seen = dropped;
    return since;
}
