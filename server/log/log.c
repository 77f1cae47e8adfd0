/*
 * log: rings of records, and the writer. What a record looks like as a line is text.c's.
 *
 * Who may touch what. A ring's `head` is advanced by its producer, its `tail` by the writer. The
 * list of rings and the shared ring's producers are guarded by `lock`; the writer holds it while it
 * formats, never while it writes, so no producer waits for the log's reader.
 */
#include "server/log/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "server/log/text.h"

enum {
    RING_BYTES = 1 << 20,    /* a power of two */
    TEXT_MAX = 64 << 10,     /* a longer text is cut in the log */
    CHUNK_BYTES = 256 << 10, /* the writer formats about so much before it writes */
    PIECE_BYTES = 16 << 10,  /* and makes room in a ring each time it has taken so much */
    REWIND_BYTES = 16 << 10, /* a ring that is empty begins anew when so much of it was used */
    NAP_MS = 2,              /* after a write the writer lets events gather for so long */
    PATIENCE_MS = 1000,      /* at the end: how long a reader may take for the next piece */
};

/* What stands before each text in a ring. Records follow each other without padding, in order of
 * time. */
struct record {
    int64_t time_ns; /* CLOCK_MONOTONIC, of the batch's first: rings are merged by it */
    uint64_t session;
    uint32_t size;      /* bytes of text that follow */
    uint32_t full_size; /* what the text had before it was cut; capped */
    uint32_t event;
    uint32_t reserved;
};

struct log_ring {
    /* The producer's, on a cache line that the writer reads once in a while. */
    _Alignas(64) _Atomic size_t head; /* bytes ever put in */
    size_t tail_seen;                 /* `tail` when it was last looked at */
    /* what of `head` is at bytes[0]. Changes only while the ring is empty, so that the writer, which
     * reads it behind a head that is not its tail, never sees it change */
    size_t start;
    int64_t batch_ns; /* when the first event since the last nudge was; 0: none */
    _Atomic unsigned long dropped;
    struct log *log;
    /* The writer's. */
    _Alignas(64) _Atomic size_t tail; /* bytes ever taken out */
    size_t head_seen;                 /* `head` when it was last looked at */
    struct log_ring *next;            /* guarded by log->lock */
    /* guarded by log->lock; when not, the writer empties it and anybody may have it */
    bool in_use;
    char bytes[RING_BYTES];
};

struct log {
    int fd;
    bool is_file; /* a regular file takes any amount in one write */
    enum log_level level;
    pthread_t writer;
    int stop_fd; /* eventfd; readable for good when the log closes */
    sem_t wake;  /* the writer waits for it while `asleep` */
    /* the writer waits, or is about to: whoever puts something in must post */
    _Atomic bool asleep;
    _Atomic bool closing;
    bool broken;          /* the reader has gone: everything is dropped. Writer only */
    unsigned long lost;   /* lines that could not be written, not told yet. Writer only */
    pthread_mutex_t lock; /* guards `rings`, each `next`, and the producing side of `shared` */
    struct log_ring *rings;
    struct log_ring *shared;
    struct buffer out; /* formatted, not yet written. Writer only */
};

bool log_wants(const struct log *log, enum log_event event)
{
    return log && log_text_is_wanted(event, log->level);
}

/* ---- producers ---- */

static size_t ring_index(const struct log_ring *ring, size_t at)
{
    return (at - ring->start) & (RING_BYTES - 1);
}

static void ring_copy_in(struct log_ring *ring, size_t at, const void *data, size_t size)
{
    size_t index = ring_index(ring, at);
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

/* A writer that keeps up needs the first pages of a ring only: the others cost no memory, and these
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

/* Apart from log_put(), so that an event that nobody wants costs no more than the question. */
static __attribute__((noinline)) void put_record(struct log_ring *ring, enum log_event event,
                                                 uint64_t session, const void *text, size_t size)
{
    if (!ring->batch_ns)
        begin_batch(ring);
    struct record record = {
        .time_ns = ring->batch_ns,
        .session = session,
        .size = (uint32_t) (size < TEXT_MAX ? size : TEXT_MAX),
        .full_size = (uint32_t) (size < UINT32_MAX ? size : UINT32_MAX),
        .event = event,
    };
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (!has_room(ring, head, sizeof record + record.size)) {
        atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
        return;
    }
    ring_copy_in(ring, head, &record, sizeof record);
    if (record.size)
        ring_copy_in(ring, head + sizeof record, text, record.size);
    atomic_store_explicit(&ring->head, head + sizeof record + record.size, memory_order_release);
}

static void wake_writer(struct log *log)
{
    if (atomic_load(&log->asleep) && atomic_exchange(&log->asleep, false))
        sem_post(&log->wake);
}

void log_put(struct log_ring *ring, enum log_event event, uint64_t session, const void *text,
             size_t size)
{
    if (ring && log_wants(ring->log, event))
        put_record(ring, event, session, text, size);
}

void log_nudge(struct log_ring *ring)
{
    if (!ring || !ring->batch_ns)
        return;
    ring->batch_ns = 0;
    /* Sequentially consistent with `asleep`: either this sees the writer asleep, or the writer,
     * which looks once more after it said so, sees what was put in. */
    atomic_store(&ring->head, atomic_load_explicit(&ring->head, memory_order_relaxed));
    wake_writer(ring->log);
}

void log_tell(struct log *log, enum log_event event, uint64_t session, const char *format, ...)
{
    if (!log_wants(log, event))
        return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0)
        size = 0;
    if ((size_t) size >= sizeof text)
        size = sizeof text - 1;
    pthread_mutex_lock(&log->lock);
    log_put(log->shared, event, session, text, (size_t) size);
    log_nudge(log->shared);
    pthread_mutex_unlock(&log->lock);
}

/* Its pages stay untouched, and so unbacked, until the ring is used. */
static struct log_ring *new_ring(void)
{
    struct log_ring *ring = aligned_alloc(_Alignof(struct log_ring), sizeof *ring);
    if (ring)
        memset(ring, 0, offsetof(struct log_ring, bytes));
    return ring;
}

struct log_ring *log_ring_new(struct log *log)
{
    if (!log)
        return NULL;
    pthread_mutex_lock(&log->lock);
    struct log_ring *ring = log->rings;
    while (ring && ring->in_use)
        ring = ring->next;
    if (!ring && (ring = new_ring())) {
        ring->log = log;
        ring->next = log->rings;
        log->rings = ring;
    }
    if (ring)
        ring->in_use = true;
    pthread_mutex_unlock(&log->lock);
    return ring;
}

/* ---- the writer: formatting ---- */

static void ring_copy_out(const struct log_ring *ring, size_t at, void *data, size_t size)
{
    size_t index = ring_index(ring, at);
    size_t first = RING_BYTES - index < size ? RING_BYTES - index : size;
    memcpy(data, ring->bytes + index, first);
    memcpy((char *) data + first, ring->bytes, size - first);
}

/* A record's text: where it is, or, where the ring's end cuts it in two, a copy. */
static const char *text_at(const struct log_ring *ring, size_t at, size_t size)
{
    static _Thread_local char copy[TEXT_MAX];
    size_t index = ring_index(ring, at);
    if (size <= RING_BYTES - index)
        return ring->bytes + index;
    ring_copy_out(ring, at, copy, size);
    return copy;
}

static bool is_empty(struct log_ring *ring)
{
    return atomic_load(&ring->head) == atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

static void tell_dropped(struct log *log, struct log_ring *ring)
{
    if (atomic_load_explicit(&ring->dropped, memory_order_relaxed))
        log_text_append_dropped(&log->out,
                                atomic_exchange_explicit(&ring->dropped, 0, memory_order_relaxed));
}

/* The ring whose next record is the oldest; NULL when all are empty. `*next_ns` is the time of the
 * oldest one in the other rings. */
static struct log_ring *oldest_ring(struct log *log, int64_t *next_ns)
{
    struct log_ring *found = NULL;
    int64_t found_ns = INT64_MAX;
    *next_ns = INT64_MAX;
    for (struct log_ring *ring = log->rings; ring; ring = ring->next) {
        if (is_empty(ring)) {
            tell_dropped(log, ring);
            continue;
        }
        struct record record;
        ring_copy_out(ring, atomic_load_explicit(&ring->tail, memory_order_relaxed), &record,
                      sizeof record);
        if (!found || record.time_ns < found_ns) {
            *next_ns = found_ns;
            found_ns = record.time_ns;
            found = ring;
        } else if (record.time_ns < *next_ns) {
            *next_ns = record.time_ns;
        }
    }
    return found;
}

/* Formats what one ring held when it was looked at, up to about a piece of it, as far as it is not
 * later than `until_ns`. False when that was nothing. */
static bool format_ring(struct log *log, struct log_ring *ring, int64_t until_ns)
{
    size_t head = ring->head_seen;
    size_t begin = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t tail = begin;
    while (tail != head && tail - begin < PIECE_BYTES) {
        struct record record;
        ring_copy_out(ring, tail, &record, sizeof record);
        if (record.time_ns > until_ns)
            break;
        tail += sizeof record;
        log_text_append(&log->out, record.event, record.session, text_at(ring, tail, record.size),
                        record.size, record.full_size);
        tail += record.size;
    }
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
    return tail != begin;
}

static void look_at_rings(struct log *log)
{
    for (struct log_ring *ring = log->rings; ring; ring = ring->next)
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
}

/* Formats what the rings hold, up to about a chunk. Returns false when there was nothing.
 *
 * A session may move from one ring's loop to another's, and its lines are to stay in order. What
 * leads to a record in one ring was put into the other before it; so only what was there at a look
 * is taken, and which ring is next is told by what is there after it. */
static bool format_chunk(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    struct log_ring *ring;
    int64_t next_ns;
    look_at_rings(log);
    while (buffer_size(&log->out) < CHUNK_BYTES && (ring = oldest_ring(log, &next_ns)))
        if (!format_ring(log, ring, next_ns))
            look_at_rings(log);
    pthread_mutex_unlock(&log->lock);
    return buffer_size(&log->out) > 0;
}

/* ---- the writer: writing ---- */

/* Waits until the reader takes something. False when the log closes and the reader's patience is
 * over. */
static bool wait_writable(struct log *log)
{
    for (;;) {
        bool closing = atomic_load(&log->closing);
        struct pollfd fds[2] = {{log->fd, POLLOUT, 0}, {log->stop_fd, POLLIN, 0}};
        int ready = poll(fds, closing ? 1 : 2, closing ? PATIENCE_MS : -1);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0 || fds[0].revents)
            return true; /* POLLERR and POLLHUP are told by write(2) */
        if (closing)
            return false;
    }
}

static unsigned long count_lines(const char *text, size_t size)
{
    unsigned long lines = 0;
    for (const char *end = text + size; (text = memchr(text, '\n', (size_t) (end - text))); text++)
        lines++;
    return lines;
}

/* Writes what is in `out`. False when it can't be: then it is lost. */
static bool write_all(struct log *log, struct buffer *out)
{
    while (buffer_size(out)) {
        if (log->broken || (!log->is_file && !wait_writable(log)))
            return false;
        /* A pipe that is writable takes PIPE_BUF bytes without blocking; more might block for
         * good, and then the server could not stop. */
        size_t size = buffer_size(out);
        if (!log->is_file && size > PIPE_BUF)
            size = PIPE_BUF;
        ssize_t written = write(log->fd, buffer_head(out), size);
        if (written >= 0)
            buffer_consume(out, (size_t) written);
        else if (errno == EPIPE || errno == EBADF)
            log->broken = true;
        else if (errno != EINTR && errno != EAGAIN)
            return false; /* a full disk, perhaps for a while: later lines may not be lost */
    }
    return true;
}

static void write_out(struct log *log)
{
    if (log->lost) {
        struct buffer told = log->out;
        log->out = (struct buffer){0};
        log_text_append_dropped(&log->out, log->lost);
        if (write_all(log, &log->out))
            log->lost = 0;
        buffer_fini(&log->out);
        log->out = told;
    }
    if (log->lost || !write_all(log, &log->out))
        log->lost += count_lines(buffer_head(&log->out), buffer_size(&log->out));
    buffer_clear(&log->out);
}

static bool all_empty(struct log *log)
{
    bool empty = true;
    pthread_mutex_lock(&log->lock);
    for (struct log_ring *ring = log->rings; ring && empty; ring = ring->next)
        empty = is_empty(ring) && !atomic_load_explicit(&ring->dropped, memory_order_relaxed);
    pthread_mutex_unlock(&log->lock);
    return empty;
}

/* Sleeps until there is something to write. */
static void wait_for_events(struct log *log)
{
    atomic_store(&log->asleep, true);
    if ((!all_empty(log) || atomic_load(&log->closing)) && atomic_exchange(&log->asleep, false))
        return;
    while (sem_wait(&log->wake) != 0)
        continue;
}

/* Lets events gather, so that a busy log is written in large pieces and its writer woken rarely. */
static void nap(struct log *log)
{
    struct pollfd stop = {log->stop_fd, POLLIN, 0};
    poll(&stop, 1, NAP_MS);
}

static void *run_writer(void *argument)
{
    struct log *log = argument;
    for (;;) {
        bool closing = atomic_load(&log->closing);
        bool wrote = false;
        while (format_chunk(log)) {
            write_out(log);
            wrote = true;
        }
        if (closing)
            return NULL;
        if (wrote)
            nap(log);
        else
            wait_for_events(log);
    }
}

/* ---- life ---- */

void log_ring_free(struct log_ring *ring)
{
    if (!ring)
        return;
    pthread_mutex_lock(&ring->log->lock);
    ring->in_use = false;
    pthread_mutex_unlock(&ring->log->lock);
    wake_writer(ring->log);
}

void log_free(struct log *log)
{
    if (!log)
        return;
    if (log->stop_fd >= 0)
        close(log->stop_fd);
    sem_destroy(&log->wake);
    pthread_mutex_destroy(&log->lock);
    buffer_fini(&log->out);
    for (struct log_ring *ring = log->rings, *next; ring; ring = next) {
        next = ring->next;
        free(ring);
    }
    free(log);
}

struct log *log_open(int fd, enum log_level level, struct error *error)
{
    struct log *log = calloc(1, sizeof *log);
    if (!log) {
        error_set(error, "unable to open the log: %s", strerror(ENOMEM));
        return NULL;
    }
    struct stat status;
    log->fd = fd;
    log->level = level;
    log->is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    pthread_mutex_init(&log->lock, NULL);
    sem_init(&log->wake, 0, 0);
    log->stop_fd = eventfd(0, EFD_CLOEXEC);
    log->shared = log_ring_new(log);
    int failure = log->stop_fd < 0 ? errno : ENOMEM;
    if (log->stop_fd >= 0 && log->shared)
        failure = pthread_create(&log->writer, NULL, run_writer, log);
    if (failure) {
        error_set(error, "unable to start the log's thread: %s", strerror(failure));
        log_free(log);
        return NULL;
    }
    return log;
}

void log_stop(struct log *log)
{
    if (!log)
        return;
    atomic_store(&log->closing, true);
    eventfd_write(log->stop_fd, 1);
    sem_post(&log->wake);
    pthread_join(log->writer, NULL);
}
