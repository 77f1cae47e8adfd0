/*
 * log: what happens, told on one line each by a thread of its own. The wordings are in text.c.
 *
 * An event costs the thread it happens in a copy into a ring; escaping, formatting and write(2) are
 * the writer's. Each loop has a ring of its own, so that loops share no lock; all other threads
 * share one. A ring that is full because the log's reader is slow drops the event, and how many
 * were dropped is told: logging never delays a request.
 */
#ifndef BANTER_SERVER_LOG_LOG_H
#define BANTER_SERVER_LOG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum log_level {
    LOG_MESSAGES,    /* everything */
    LOG_CONNECTIONS, /* connections and errors */
    LOG_ERRORS,
};

/* Each event has at most one text that varies; what it is stands behind the event. */
enum log_event {
    LOG_SOCKET_CREATED,
    LOG_LISTENING,  /* address */
    LOG_STOPPED,    /* "2 clients, 3 requests" */
    LOG_CONNECTED,  /* address */
    LOG_PROCESSING, /* message */
    LOG_PROCESSED,  /* reply */
    LOG_TOO_LONG,   /* size of the message */
    LOG_QUIT,
    LOG_CLOSED,              /* address */
    LOG_BAD_FRAME,           /* what was wrong */
    LOG_INCOMPLETE,          /* why its end won't come */
    LOG_HANDLER_FAILED,      /* why */
    LOG_HANDLER_TIMEOUT,     /* the time-out */
    LOG_IDLE,                /* the time-out */
    LOG_WRITE_TIMEOUT,       /* the time-out */
    LOG_ANSWER_DROPPED,      /* why */
    LOG_BROKEN,              /* what failed */
    LOG_BUSY,                /* address */
    LOG_ACCEPT_FAILED,       /* why */
    LOG_THREAD_FAILED,       /* why */
    LOG_NO_SPARE,            /* the bound */
    LOG_LEFT_BEHIND,         /* how many */
    LOG_MAX_CLIENTS_LOWERED, /* to what, and why */
    LOG_WORKER_STARTED,      /* its number and process */
    LOG_WORKER_LOST,         /* its number, and why */
    LOG_WORKERS_DOWN,        /* when the next try is */
    LOG_WORKER,              /* its number, and a line of its standard error */
    LOG_EVENTS,              /* how many there are */
};

struct log;
struct log_ring;

/* Starts the writer on `fd`, which stays the caller's. The caller ignores SIGPIPE. NULL, with
 * `error` set, when memory or threads are out. */
struct log *log_open(int fd, enum log_level level, struct error *error);

/* Writes what is left, waiting for the reader at most a second from its last sign of life, and
 * ends the writer. What is logged later is never written. NULL is left alone. */
void log_stop(struct log *log);

/* Gives back a log that was stopped, when nobody logs any more. NULL is left alone. */
void log_free(struct log *log);

/* Whether the level wants an event: lets a caller skip making its text. False for a NULL log. */
bool log_wants(const struct log *log, enum log_event event);

/* A ring for one thread at a time; NULL when memory is out. What is in it when it is
 * freed is still written. */
struct log_ring *log_ring_new(struct log *log);
void log_ring_free(struct log_ring *ring);

/* Logs an event of session `session` (0: of none) with a text of any bytes. By the ring's
 * present thread. Nothing is written before the next log_nudge(). */
void log_put(struct log_ring *ring, enum log_event event, uint64_t session, const void *text,
             size_t size);

/* Wakes the writer if there is something for it to do. Costs a load when there isn't. */
void log_nudge(struct log_ring *ring);

/* Logs from any thread, printf-like, and wakes the writer. A NULL log is left alone. */
void log_tell(struct log *log, enum log_event event, uint64_t session, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
