/*
 * handler: what makes a reply from a request. A kind of handler is a struct of functions, found by name in
 * one table (handlers/table.c); a handler is one of a kind that was opened with an argument.
 *
 * handle() is called by many threads at once. It answers each request exactly once (server/request.h), now
 * or later, from any thread. It may take as long as it likes: when it has run for about a millisecond the
 * loop with all its other sessions goes on without the thread that is in it.
 */
#ifndef BANTER_SERVER_HANDLER_H
#define BANTER_SERVER_HANDLER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct request;
struct handler;

struct handler_kind {
    const char *name; /* as in --handler NAME[:ARGUMENT] */
    const char *help; /* what it answers, in a line */

    /* Makes the handler ready and may set handler->state. `argument` is what stands behind "NAME:", or NULL.
     * NULL instead of a function: there is nothing to do, and an argument is refused. */
    bool (*open)(struct handler *handler, const char *argument, struct error *error);

    void (*handle)(struct handler *handler, struct request *request);

    /* Gives everything back. No handle() is running; requests that are still held must be released, and when
     * it returns no thread of the handler's touches a request any more. NULL: there is nothing to do. */
    void (*close)(struct handler *handler);
};

struct handler {
    const struct handler_kind *kind; /* NULL: not open */
    void *state;                     /* the kind's own */
};

/* All kinds, ended by NULL. */
extern const struct handler_kind *const handler_kinds[];

/* Whether "NAME" or "NAME:ARGUMENT" can be opened, as far as can be told without trying. */
bool handler_check(const char *spec, struct error *error);

/* Opens "NAME" or "NAME:ARGUMENT". False, with `error` set, when there is no such kind or it can't open. */
bool handler_open(struct handler *handler, const char *spec, struct error *error);

/* Closes; one that is not open is left alone. */
void handler_close(struct handler *handler);

#endif
