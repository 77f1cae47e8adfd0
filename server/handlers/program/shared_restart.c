/* shared_restart: the successor starts, takes over, and the old one goes. */
#include "server/handlers/program/shared_restart.h"

#include <errno.h>
#include <stdio.h>

#include "server/handlers/program/respawn.h"
#include "server/handlers/program/tagged.h"
#include "server/handlers/program/worker.h"

static void begin(struct shared *shared, struct restart *restart)
{
    struct worker *worker;
    LIST_FOREACH(worker, &shared->workers->all, entry)
        worker->is_outdated = true;
    restart_plan(restart, shared->count, 0);
}

/* ---- one after the other ---- */

static bool has_request(const struct worker *worker)
{
    return worker->exchange.request || (worker->tagged && worker->tagged->count > 0);
}

static unsigned count_outdated(const struct shared *shared)
{
    const struct worker *worker;
    unsigned count = 0;
    LIST_FOREACH(worker, &shared->workers->all, entry)
        count += worker->is_outdated;
    return count;
}

/* The next one to be replaced: one that does nothing, or has begun to last, so that one that hangs
 * comes behind the others. NULL: there is none any more. */
static struct worker *next_outdated(const struct shared *shared)
{
    struct worker *worker, *best = NULL;
    int64_t best_us = 0;
    LIST_FOREACH(worker, &shared->workers->all, entry) {
        int64_t begun_us = has_request(worker) ? worker->begun_us : INT64_MAX;
        if (worker->is_outdated && (!best || begun_us > best_us)) {
            best = worker;
            best_us = begun_us;
        }
    }
    return best;
}

/* Starts its successor; or the worker itself if it has no instance, since there is nothing to lose.
 * Returns 0, or the errno of what failed. */
static int replace(struct shared *shared, struct worker *worker)
{
    shared->old = worker;
    if (worker->phase == WORKER_EMPTY)
        return worker_start(shared->workers, worker);
    shared->successor = shared_add_successor(shared, worker->number);
    return shared->successor ? worker_start(shared->workers, shared->successor) : ENOMEM;
}

/* The one that was started has failed. */
static void give_up(struct shared *shared, struct restart *restart)
{
    char why[400];
    snprintf(why, sizeof why, "worker %llu %s: %s", (unsigned long long) shared->old->number,
             shared->successor ? "stays, its successor has failed" : "has failed again",
             shared->workers->why);
    if (shared->successor)
        shared_remove_successor(shared);
    shared->old = NULL;
    restart_give_up(restart, why);
}

/* The old one has nothing to do any more, or has another instance itself. */
static void finish(struct shared *shared, struct restart *restart)
{
    if (shared->successor) {
        if (shared->old->instance)
            shared->old->instance->is_replaced = true;
        shared_succeed(shared, shared->old);
    }
    shared->old = NULL;
    restart_progress(restart, shared->count - count_outdated(shared));
}

/* What becomes of the one that is being replaced. */
static void go_on(struct shared *shared, struct restart *restart)
{
    struct worker *old = shared->old;
    const struct worker *awaited = shared->successor ? shared->successor : old;
    if (!old->is_retired && awaited->phase == WORKER_EMPTY) {
        give_up(shared, restart);
        return;
    }
    if (!old->is_retired && worker_is_ready(awaited) && shared->successor) {
        shared->successor->is_successor = false;
        old->is_retired = true;
    }
    if (old->is_retired ? !has_request(old) : worker_is_ready(awaited))
        finish(shared, restart);
}

/* Whether the process of one that was replaced has not gone yet. One that can't be killed is not
 * waited for. */
static bool is_going(const struct shared *shared)
{
    const struct instance *instance;
    LIST_FOREACH(instance, &shared->workers->instances->all, entry)
        if (instance->is_replaced && instance->phase != INSTANCE_KILLED)
            return true;
    return false;
}

void shared_restart(struct shared *shared, struct restart *restart)
{
    if (restart_begins(restart))
        begin(shared, restart);
    if (shared->workers->recalled)
        restart_give_up(restart, RESTART_STOPPING_TEXT);
    else if (shared->old)
        go_on(shared, restart);
    if (!restart->runs || shared->old || is_going(shared))
        return;
    struct worker *next = next_outdated(shared);
    if (!next)
        restart_done(restart);
    else if (replace(shared, next) != 0)
        give_up(shared, restart);
}
