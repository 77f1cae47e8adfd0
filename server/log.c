/*
 * log: rings of records, and the writer. What a record looks like as a line is log_text's.
 *
 * Who may touch what. A ring's `head` is advanced by its producer, its `tail` by the writer. The
 * list of rings and the shared ring's producers are guarded by `lock`; the writer holds it while it
 * formats, never while it writes, so no producer waits for the log's reader.
 */
#include "server/log.h"

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
#include "server/log_text.h"

enum {
    RING_BYTES = 1 << 20,    /* a power of two */
    TEXT_MAX = 64 << 10,     /* a longer text is cut in the log */
    CHUNK_BYTES = 256 << 10, /* the writer formats about so much before it writes */
    NAP_MS = 2,              /* after a write the writer lets events gather for so long */
    PATIENCE_MS = 1000,      /* at the end: how long a reader may take for the next piece */
};

/* What stands before each text in a ring. Records follow each other without padding, in order of
 * time. */
struct record {
    int64_t time_ns; /* CLOCK_MONOTONIC: rings are merged by it */
    uint64_t session;
    uint32_t size;      /* bytes of text that follow */
    uint32_t full_size; /* what the text had before it was cut; capped */
    uint32_t event;
    uint32_t reserved;
};

struct log_ring {
    struct log *log;
    struct log_ring *next; /* guarded by log->lock */
    /* guarded by log->lock; when not, the writer empties it and anybody may have it */
    bool in_use;
    _Atomic size_t head; /* bytes ever put in */
    _Atomic size_t tail; /* bytes ever taken out */
    _Atomic unsigned long dropped;
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

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

bool log_wants(const struct log *log, enum log_event event)
{
    return log && log_text_is_wanted(event, log->level);
}

/* ---- producers ---- */

static void ring_copy_in(struct log_ring *ring, size_t at, const void *data, size_t size)
{
    size_t index = at & (RING_BYTES - 1);
    size_t first = RING_BYTES - index < size ? RING_BYTES - index : size;
    memcpy(ring->bytes + index, data, first);
    memcpy(ring->bytes, (const char *) data + first, size - first);
}

/* Apart from log_put(), so that an event that nobody wants costs no more than the question. */
static __attribute__((noinline)) void put_record(struct log_ring *ring, enum log_event event,
                                                 uint64_t session, const void *text, size_t size)
{
    struct record record = {
        .time_ns = now_ns(),
        .session = session,
        .size = (uint32_t) (size < TEXT_MAX ? size : TEXT_MAX),
        .full_size = (uint32_t) (size < UINT32_MAX ? size : UINT32_MAX),
        .event = event,
    };
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (head - tail + sizeof record + record.size > RING_BYTES) {
        atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
        return;
    }
    ring_copy_in(ring, head, &record, sizeof record);
    if (record.size)
        ring_copy_in(ring, head + sizeof record, text, record.size);
    /* Sequentially consistent with `asleep`: either the nudge that follows sees the writer
     * asleep, or the writer, which looks once more after it said so, sees this record. */
    atomic_store(&ring->head, head + sizeof record + record.size);
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
    if (!ring)
        return;
    if (atomic_load_explicit(&ring->head, memory_order_relaxed) !=
            atomic_load_explicit(&ring->tail, memory_order_relaxed) ||
        atomic_load_explicit(&ring->dropped, memory_order_relaxed))
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
    pthread_mutex_unlock(&log->lock);
    wake_writer(log);
}

struct log_ring *log_ring_new(struct log *log)
{
    if (!log)
        return NULL;
    pthread_mutex_lock(&log->lock);
    struct log_ring *ring = log->rings;
    while (ring && ring->in_use)
        ring = ring->next;
    /* calloc: the pages stay untouched, and so unbacked, until the ring is used. */
    if (!ring && (ring = calloc(1, sizeof *ring))) {
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

static void ring_copy_out(struct log_ring *ring, size_t at, void *data, size_t size)
{
    size_t index = at & (RING_BYTES - 1);
    size_t first = RING_BYTES - index < size ? RING_BYTES - index : size;
    memcpy(data, ring->bytes + index, first);
    memcpy((char *) data + first, ring->bytes, size - first);
}

/* The ring whose next record is the oldest, and that record; NULL when all are empty. */
static struct log_ring *oldest_ring(struct log *log, struct record *oldest)
{
    struct log_ring *found = NULL;
    for (struct log_ring *ring = log->rings; ring; ring = ring->next) {
        size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        if (atomic_load(&ring->head) == tail) {
            log_text_append_dropped(
                &log->out, atomic_exchange_explicit(&ring->dropped, 0, memory_order_relaxed));
            continue;
        }
        struct record record;
        ring_copy_out(ring, tail, &record, sizeof record);
        if (!found || record.time_ns < oldest->time_ns) {
            found = ring;
            *oldest = record;
        }
    }
    return found;
}

/* Formats what the rings hold, up to about a chunk. Returns false when there was nothing. */
static bool format_chunk(struct log *log)
{
    static _Thread_local unsigned char text[TEXT_MAX];
    pthread_mutex_lock(&log->lock);
    struct record record;
    struct log_ring *ring;
    while (buffer_size(&log->out) < CHUNK_BYTES && (ring = oldest_ring(log, &record))) {
        size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed) + sizeof record;
        ring_copy_out(ring, tail, text, record.size);
        log_text_append(&log->out, record.event, record.session, text, record.size,
                        record.full_size);
        atomic_store_explicit(&ring->tail, tail + record.size, memory_order_release);
    }
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
        empty =
            atomic_load(&ring->head) == atomic_load_explicit(&ring->tail, memory_order_relaxed) &&
            !atomic_load_explicit(&ring->dropped, memory_order_relaxed);
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
