/* own: a session's first request, and its end. */
#include "server/handlers/program/own.h"

#include <stdlib.h>

#include "common/protocol.h"
#include "server/handlers/program/queue.h"
#include "server/handlers/program/respawn.h"
#include "server/handlers/program/starts.h"
#include "server/handlers/program/worker.h"
#include "server/request.h"

/* Times that something is taken from the queue, between two looks at events. */
enum { MAX_GIVEN = 256 };

void own_init(struct own *own, struct workers *workers, unsigned ahead, unsigned max)
{
    *own = (struct own){.workers = workers, .ahead = ahead, .max = max};
    spares_init(&own->spares);
}

/* ---- workers ---- */

/* A worker that belongs to no session yet. NULL: there are as many as there may be, or memory is
 * out. */
static struct worker *new_worker(struct own *own)
{
    struct worker *worker = own->count < own->max ? calloc(1, sizeof *worker) : NULL;
    if (!worker)
        return NULL;
    own->count++;
    worker->number = ++own->number;
    workers_add(own->workers, worker);
    return worker;
}

static void free_worker(struct own *own, struct worker *worker)
{
    worker_fini(own->workers, worker, true);
    own->count--;
    free(worker);
}

/* NULL: there are as many as there may be, or memory is out. */
static struct worker *worker_of(struct own *own, struct flow *flow)
{
    if (flow->worker)
        return flow->worker;
    struct worker *worker = spares_take(&own->spares, own->workers);
    if (!worker && (worker = new_worker(own)) && !own->ahead)
        worker->number = flow->session;
    if (worker)
        worker->flow = flow;
    return flow->worker = worker;
}

/* As many as are to wait. */
static void add_spares(struct own *own)
{
    struct worker *worker;
    while (own->spares.count < own->ahead + own->more && (worker = new_worker(own))) {
        spares_add(&own->spares, worker);
        starts_wait(own->workers, worker);
    }
}

static void end_flow(struct own *own, struct flow *flow)
{
    if (flow->worker)
        free_worker(own, flow->worker);
    flow_free(flow);
}

/* ---- giving requests to them ---- */

/* The time of a session's requests stands still as long as no instance can take them, but one is
 * starting. */
static void update_pauses(struct workers *workers)
{
    if (!workers->changed)
        return;
    workers->changed = false;
    const struct worker *worker;
    LIST_FOREACH(worker, &workers->all, entry)
        if (worker->flow)
            pause_set(&worker->flow->pause, !worker_is_ready(worker) && !worker_is_down(worker),
                      instances_clock_ms(workers->instances));
}

/* Requests of a session for which there is no worker. */
static void refuse(struct own *own, struct flow *flow, struct request *const *requests,
                   unsigned count)
{
    while (count > 0) {
        struct request *request = requests[--count];
        request_refuse(request, PROTOCOL_UNAVAILABLE, "all copies of the program are taken");
        request_release(request);
    }
    queue_flow_done(own->workers->queue, flow);
}

static void give(struct own *own)
{
    struct workers *workers = own->workers;
    struct flow *flow;
    struct request *requests[EXCHANGE_MAX];
    for (int given = 0; given < MAX_GIVEN && !workers->recalled; given++) {
        unsigned count =
            queue_take_some(workers->queue, requests, workers_most_at_once(workers), &flow);
        if (count == 0)
            break;
        struct worker *worker = worker_of(own, flow);
        if (worker)
            worker_give(workers, worker, requests, count);
        else
            refuse(own, flow, requests, count);
    }
}

static void end_flows(struct own *own)
{
    struct flow *flow;
    while ((flow = queue_ended(own->workers->queue)))
        end_flow(own, flow);
}

void own_serve(struct own *own)
{
    end_flows(own);
    give(own);
    add_spares(own);
    /* One start in each batch: those that run already come first. */
    workers_start_next(own->workers);
    update_pauses(own->workers);
}

/* ---- a restart ---- */

/* Its number; 0: there is none. */
static uint64_t oldest_spare(const struct own *own)
{
    const struct worker *oldest = TAILQ_FIRST(&own->spares.list);
    return oldest ? oldest->number : 0;
}

static void begin_restart(struct own *own, struct restart *restart)
{
    restart_plan_spares(restart, own->number, own->spares.count, own->count - own->spares.count);
    own->more = own->ahead > 0;
}

static void end_spare(struct own *own, struct worker *spare)
{
    spares_remove(&own->spares, spare);
    free_worker(own, spare);
}

void own_restart(struct own *own, struct restart *restart)
{
    if (restart_begins(restart))
        begin_restart(own, restart);
    struct worker *oldest = TAILQ_FIRST(&own->spares.list);
    struct worker *newest = TAILQ_LAST(&own->spares.list, spare_list);
    struct restart_spares spares = {
        .count = own->spares.count,
        .wanted = own->ahead,
        .oldest = oldest_spare(own),
        .newest = newest ? newest->number : 0,
        .newest_waits = newest && newest->phase == WORKER_IDLE,
        .is_full = own->count >= own->max,
        .are_kept = true,
        .has_failed = newest && newest->number > restart->last_number && newest->failures > 0,
    };
    if (restart_takes_oldest(restart, &spares))
        end_spare(own, oldest);
    else if (spares.has_failed)
        end_spare(own, newest);
    own->more = restart_more(restart, oldest_spare(own));
}

/* ---- the end ---- */

void own_end(struct own *own)
{
    end_flows(own);
    while (own->count > 0) /* spares */
        free_worker(own, LIST_FIRST(&own->workers->all));
}
