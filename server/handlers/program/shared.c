/* shared: the next request to the first idle worker. */
#include "server/handlers/program/shared.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/protocol.h"
#include "server/handlers/program/queue.h"
#include "server/handlers/program/respawn.h"
#include "server/handlers/program/tagged_worker.h"
#include "server/handlers/program/worker.h"
#include "server/log/log.h"
#include "server/request.h"

/* How many requests an instance is given at once, at most. */
static unsigned most_given(const struct turn_rules *rules)
{
    return rules->tagged ? rules->tagged : rules->ahead;
}

bool shared_init(struct shared *shared, struct workers *workers, unsigned count)
{
    size_t given = (size_t) (count + 1) * most_given(workers->rules);
    *shared = (struct shared){
        .workers = workers,
        .list = calloc(count + 1, sizeof *shared->list),
        .count = count,
    };
    shared->vacant = shared->list ? &shared->list[count] : NULL;
    workers->unread = calloc(given + 1, sizeof(struct request *));
    return shared->list && workers->unread;
}

void shared_fini(struct shared *shared)
{
    free(shared->list);
    free(shared->workers->unread);
}

/* ---- all down, or all starting ---- */

/* Refuses requests at once from now on, until an instance can be started again. */
static void go_down(struct shared *shared)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%d", WORKER_MAX_DELAY_MS / 1000);
    struct worker *worker;
    LIST_FOREACH(worker, &shared->workers->all, entry)
        worker_retry_slowly(shared->workers, worker);
    log_put(shared->workers->instances->log, LOG_WORKERS_DOWN, 0, text, (size_t) size);
}

/* When all workers are down no request waits for the next instances, since they come rarely. */
static void update_down(struct shared *shared)
{
    struct workers *workers = shared->workers;
    if (!workers->changed)
        return;
    workers->changed = false;
    bool down = true, ready = false;
    const struct worker *worker;
    LIST_FOREACH(worker, &workers->all, entry) {
        down = down && worker_is_down(worker);
        ready = ready || worker_is_ready(worker);
    }
    if (down && !shared_is_down(shared) && workers->started)
        go_down(shared);
    atomic_store_explicit(&shared->down, down, memory_order_relaxed);
    pause_set(&shared->pause, !ready && !down, instances_clock_ms(workers->instances));
}

/* ---- giving requests to workers ---- */

/* The next request that an idle worker gets; NULL: there is none. */
static struct request *next_request(struct workers *workers)
{
    if (workers->unread_count > 0)
        return workers->unread[--workers->unread_count];
    return queue_take(workers->queue, NULL);
}

/* The next requests that an idle worker gets. Returns how many. What an instance was lost over, or
 * has not read, comes alone. */
static unsigned next_requests(struct workers *workers, struct request **requests)
{
    if (workers->unread_count == 0)
        return queue_take_some(workers->queue, requests, workers_most_at_once(workers), NULL);
    requests[0] = next_request(workers);
    return 1;
}

static void give_tagged(struct workers *workers)
{
    struct worker *worker;
    struct request *request;
    while ((worker = tagged_workers_with_room(workers)) && (request = next_request(workers)))
        tagged_worker_add(workers, worker, request);
    LIST_FOREACH(worker, &workers->all, entry)
        worker_write_added(workers, worker);
}

static void give_turns(struct workers *workers)
{
    struct worker *worker;
    struct request *requests[EXCHANGE_MAX];
    unsigned count;
    while ((worker = workers_idle(workers)) && (count = next_requests(workers, requests)) > 0)
        worker_give(workers, worker, requests, count);
}

void shared_serve(struct shared *shared)
{
    struct workers *workers = shared->workers;
    struct request *request;
    if (workers->recalled)
        return;
    if (workers->rules->tagged)
        give_tagged(workers);
    else
        give_turns(workers);
    update_down(shared);
    while (shared_is_down(shared) && (request = next_request(workers))) {
        request_refuse(request, PROTOCOL_UNAVAILABLE, "%s", WORKER_DOWN_TEXT);
        request_release(request);
    }
}

bool shared_wants_requests(struct shared *shared)
{
    if (shared_is_down(shared))
        return true;
    return shared->workers->rules->tagged ? tagged_workers_with_room(shared->workers) != NULL
                                          : !TAILQ_EMPTY(&shared->workers->idle);
}

/* ---- a worker, from its place in the list to its end ---- */

static bool add(struct shared *shared, struct worker *worker, uint64_t number)
{
    struct workers *workers = shared->workers;
    worker->number = number;
    worker->exchange.tells = workers->rules->tell_peer;
    bool fits = !workers->rules->tagged || tagged_worker_init(worker, workers->rules);
    workers_add(workers, worker);
    return fits;
}

/* It is the one that is not in use. */
static void vacate(struct shared *shared, struct worker *worker)
{
    worker_fini(shared->workers, worker, true);
    *worker = (struct worker){0};
    shared->vacant = worker;
    shared->successor = NULL;
}

struct worker *shared_add_successor(struct shared *shared, uint64_t number)
{
    struct worker *worker = shared->vacant;
    worker->is_successor = true;
    shared->vacant = NULL;
    shared->successor = worker;
    if (add(shared, worker, number))
        return worker;
    vacate(shared, worker);
    return NULL;
}

void shared_remove_successor(struct shared *shared) { vacate(shared, shared->successor); }

void shared_succeed(struct shared *shared, struct worker *old)
{
    struct score *score = old->score;
    old->score = shared->successor->score;
    shared->successor->score = score;
    scoreboard_succeed(&shared->workers->instances->scoreboard, score, old->score);
    vacate(shared, old);
}

/* ---- the first start, and the end ---- */

int shared_start(struct shared *shared)
{
    struct workers *workers = shared->workers;
    int failure = 0;
    for (unsigned i = shared->count; i > 0; i--)
        if (!add(shared, &shared->list[i - 1], i))
            failure = ENOMEM;
    for (unsigned i = 0; i < shared->count && !failure; i++)
        failure = worker_start(workers, &shared->list[i]);
    return failure;
}

void shared_end(struct shared *shared, bool gently)
{
    while (shared->count > 0 && !LIST_EMPTY(&shared->workers->all))
        worker_fini(shared->workers, LIST_FIRST(&shared->workers->all), gently);
}
