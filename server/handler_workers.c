/* handler_workers: asks the kind, and says it in words. */
#include "server/handler_workers.h"

#include <stdio.h>

#include "server/handler.h"

/* ---- what they do ---- */

const char *handler_worker_state_name(enum handler_worker_state state)
{
    static const char *const names[HANDLER_WORKER_STATES] = {
        [HANDLER_WORKER_STARTING] = "starting", [HANDLER_WORKER_WAITS] = "waits",
        [HANDLER_WORKER_RESTS] = "rests",       [HANDLER_WORKER_WORKS] = "works",
        [HANDLER_WORKER_DOWN] = "down",
    };
    return names[state];
}

bool handler_next_worker(struct handler *handler, unsigned *place, struct handler_worker *worker)
{
    return handler->kind->next_worker && handler->kind->next_worker(handler, place, worker);
}

uint64_t handler_replacements(struct handler *handler)
{
    return handler->kind->replacements ? handler->kind->replacements(handler) : 0;
}

/* ---- their restart ---- */

bool handler_restart_workers(struct handler *handler, struct error *error)
{
    if (!handler->kind->restart_workers)
        return error_set(error, "the handler \"%s\" has no workers", handler->kind->name);
    return handler->kind->restart_workers(handler, error);
}

int handler_restart_fd(const struct handler *handler)
{
    return handler->kind->restart_fd ? handler->kind->restart_fd(handler) : -1;
}

void handler_restart_result(struct handler *handler, struct handler_restart *restart)
{
    *restart = (struct handler_restart){0};
    if (handler->kind->restart_result)
        handler->kind->restart_result(handler, restart);
}

void handler_restart_text(const struct handler_restart *restart, char *text, size_t size)
{
    if (restart->why[0])
        snprintf(text, size, "restarted %u of %u: %s", restart->restarted, restart->count,
                 restart->why);
    else if (restart->kept > 0)
        snprintf(text, size, "restarted %u, %u belong to clients and stay", restart->restarted,
                 restart->kept);
    else
        snprintf(text, size, "restarted %u", restart->restarted);
}
