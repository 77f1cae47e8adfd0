/*
 * log: the rings and the writer together, and the ring that threads without one share.
 */
#include "server/log/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/log/writer.h"

struct log {
    struct log_rings rings;
    struct log_writer writer; /* all zero if the log is silent */
    bool is_silent;
    pthread_mutex_t lock; /* held by the producer of `shared` */
    struct log_ring *shared;
};

/* ---- opening and closing ---- */

struct log *log_open(int fd, enum log_level level, struct log_style style, struct error *error)
{
    struct log *log = calloc(1, sizeof *log);
    if (!log) {
        error_set(error, "unable to open the log: %s", strerror(ENOMEM));
        return NULL;
    }
    log->is_silent = level == LOG_SILENT;
    pthread_mutex_init(&log->lock, NULL);
    log_rings_init(&log->rings, level);
    log->shared = log_rings_get(&log->rings);
    int failure = log->shared ? 0 : ENOMEM;
    if (!failure && !log->is_silent)
        failure = log_writer_start(&log->writer, &log->rings, fd, style);
    if (failure) {
        error_set(error, "unable to start the log's thread: %s", strerror(failure));
        log_free(log);
        return NULL;
    }
    return log;
}

bool log_stop(struct log *log) { return !log || log->is_silent || log_writer_stop(&log->writer); }

void log_free(struct log *log)
{
    if (!log)
        return;
    log_rings_fini(&log->rings);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

/* ---- logging ---- */

bool log_wants(const struct log *log, enum log_event event)
{
    return log && (atomic_load_explicit(&log->rings.wanted, memory_order_relaxed) >> event & 1);
}

void log_set_level(struct log *log, enum log_level level)
{
    if (!log->is_silent && level != LOG_SILENT)
        log_rings_set_level(&log->rings, level);
}

struct log_ring *log_ring_new(struct log *log) { return log ? log_rings_get(&log->rings) : NULL; }

void log_tell(struct log *log, enum log_event event, uint64_t session, const char *format, ...)
{
    if (!log)
        return;
    char text[1024];
    size_t size = 0;
    if (log_wants(log, event)) {
        va_list arguments;
        va_start(arguments, format);
        int whole = vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        size = whole < 0 ? 0 : (size_t) whole < sizeof text ? (size_t) whole : sizeof text - 1;
    }
    pthread_mutex_lock(&log->lock);
    log_put(log->shared, event, session, text, size);
    log_nudge(log->shared);
    pthread_mutex_unlock(&log->lock);
}

/* ---- counting ---- */

uint64_t log_count(const struct log *log, enum log_event event)
{
    return log_rings_count(&log->rings, event);
}

uint64_t log_lines(const struct log *log) { return counter_get(&log->writer.written); }

uint64_t log_dropped(const struct log *log)
{
    return log_rings_dropped(&log->rings) + counter_get(&log->writer.lost);
}
