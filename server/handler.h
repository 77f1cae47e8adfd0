/*
 * handler: what makes a reply from a request. A kind of handler is a struct of functions, found by
 * name in one table (handlers/table.c); a handler is one of a kind that was opened with an
 * argument.
 *
 * handle() is called by many threads at once. It answers each request exactly once
 * (server/request.h), now or later, from any thread. It may take as long as it likes: when it has
 * run for a few milliseconds the loop with all its other sessions goes on without the thread that
 * is in it.
 */
#ifndef BANTER_SERVER_HANDLER_H
#define BANTER_SERVER_HANDLER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct request;
struct handler;

struct handler_kind {
    const char *name; /* as in --handler NAME[:ARGUMENT] */
    const char *help; /* what it answers, in a line */

    /* Whether an argument (NULL: none) can be one, as far as can be told without trying. NULL
     * instead of a function: it can. */
    bool (*check)(const char *argument, struct error *error);

    /* Makes the handler ready and may set handler->state. `argument` is what stands behind
     * "NAME:", or NULL. NULL instead of a function: there is nothing to do, and an argument is
     * refused. */
    bool (*open)(struct handler *handler, const char *argument, struct error *error);

    void (*handle)(struct handler *handler, struct request *request);

    /* Gives everything back. No handle() is running; requests that are still held must be
     * released, and when it returns no thread of the handler's touches a request any more. NULL:
     * there is nothing to do. */
    void (*close)(struct handler *handler);

    /* A session asks for the first time: what this returns is request_session_data() of all its
     * requests. In the loop's owner: must not block. NULL: sessions have no data. */
    void *(*session_begun)(struct handler *handler, uint64_t session);

    /* A session that has asked something has ended; `data` is what session_begun() has returned,
     * if not NULL. A handle() that lost its loop may still be in a request of it, for which
     * request_is_over() is true by now. No other request of it will come any more; those that
     * are held get no answer. In the loop's owner: must not block. NULL: nobody wants to know. */
    void (*session_ended)(struct handler *handler, void *data);

    /* The process is about to end without close(): ends what would outlive it. From any thread.
     * NULL: nothing would. */
    void (*abort)(struct handler *handler);
};

struct handler {
    const struct handler_kind *kind; /* NULL: not open */
    void *state;                     /* the kind's own */
    _Atomic bool full;               /* see handler_set_full() */
    void (*resume)(void *context);   /* the server's: takes requests again. NULL: no server runs */
    void *resume_context;
    /* what it may have open, beside the server's own */
    unsigned descriptors, descriptors_per_client;
};

/* While a handler is full no more requests are given to it, and no session is read (requests
 * that are on their way at this moment may still come): the back-pressure of a handler that
 * queues. From any thread but not in handler->resume(). */
void handler_set_full(struct handler *handler, bool full);

static inline bool handler_is_full(const struct handler *handler)
{
    return atomic_load_explicit(&handler->full, memory_order_relaxed);
}

/* All kinds, ended by NULL. */
extern const struct handler_kind *const handler_kinds[];

/* Whether "NAME" or "NAME:ARGUMENT" can be opened, as far as can be told without trying. */
bool handler_check(const char *spec, struct error *error);

/* Opens "NAME" or "NAME:ARGUMENT"; `handler` must stay where it is until it is closed. False,
 * with `error` set, when there is no such kind or it can't open. */
bool handler_open(struct handler *handler, const char *spec, struct error *error);

/* Ends at once what would outlive the process; one that is not open is left alone. */
void handler_abort(struct handler *handler);

/* Closes; one that is not open is left alone. */
void handler_close(struct handler *handler);

#endif
