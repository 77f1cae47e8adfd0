/* respawn: losses, back-off, and the next instance. */
#include "server/handlers/program/respawn.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/handlers/program/backoff.h"
#include "server/handlers/program/charge.h"
#include "server/handlers/program/input.h"
#include "server/handlers/program/instance_end.h"
#include "server/handlers/program/phase.h"
#include "server/handlers/program/queue.h"
#include "server/handlers/program/starts.h"
#include "server/handlers/program/tagged.h"
#include "server/handlers/program/turns.h"
#include "server/handlers/program/variables.h"
#include "server/log/log.h"
#include "server/request.h"

enum {
    /* An instance that has closed a pipe is most often about to end, and its status says more. */
    BROKEN_MS = 100,
};

/* ---- failures ---- */

bool worker_is_down(const struct worker *worker)
{
    return !worker_is_ready(worker) && worker->failures >= WORKER_MAX_FAILURES;
}

static void count_failure(struct workers *workers, struct worker *worker)
{
    worker->failures++;
    /* If shared, all workers slow down together (worker_retry_slowly()). */
    bool slowly = workers->on_demand && worker->failures >= WORKER_MAX_FAILURES;
    worker->start_ms =
        workers->instances->now_ms + (slowly ? WORKER_MAX_DELAY_MS : backoff_ms(worker->failures));
}

void worker_retry_slowly(struct workers *workers, struct worker *worker)
{
    worker->start_ms = workers->instances->now_ms + WORKER_MAX_DELAY_MS;
    phase_schedule(workers, worker);
}

static void log_lost(struct workers *workers, const struct worker *worker, const char *why)
{
    char text[400], outcome[64] = "is replaced";
    int64_t delay = worker->start_ms - workers->instances->now_ms;
    if (worker->is_successor)
        snprintf(outcome, sizeof outcome, "stays, its successor has failed");
    else if (delay > 0)
        snprintf(outcome, sizeof outcome, "is replaced in %lld ms", (long long) delay);
    int size = snprintf(text, sizeof text, "%llu%c%s%c%s", (unsigned long long) worker->number,
                        LOG_SEPARATOR, outcome, LOG_SEPARATOR, why);
    log_put(workers->instances->log, LOG_WORKER_LOST, 0, text, (size_t) size);
    if (why != workers->why)
        snprintf(workers->why, sizeof workers->why, "%s", why);
}

/* ---- the end of an instance ---- */

static void detach(struct workers *workers, struct worker *worker)
{
    turns_stop(workers, worker);
    buffer_fini(&worker->state.greeting.text);
    phase_enter(workers, worker, WORKER_EMPTY);
    worker->instance = NULL;
    score_pid(worker->score, 0);
    worker->state = (struct instance_state){0};
    if (worker->tagged)
        tagged_reset(worker->tagged);
}

void worker_end_instance(struct workers *workers, struct worker *worker, bool gently)
{
    struct instance *instance = worker->instance;
    starts_leave(workers, worker);
    if (!instance)
        return;
    detach(workers, worker);
    instance_end(workers->instances, instance, gently);
}

/* The same for requests with IDs: those of which nothing was read go to another instance. */
static void lose_tagged(struct workers *workers, struct worker *worker, const char *why)
{
    struct request *request;
    size_t unread = instance_unread(worker->instance);
    while ((request = tagged_return(worker->tagged, unread))) {
        request_defer(request);
        workers->unread[workers->unread_count++] = request;
    }
    tagged_refuse(worker->tagged, PROTOCOL_HANDLER_FAILED, why);
}

/* What becomes of the requests that the lost instance was given. */
static void lose_request(struct workers *workers, struct worker *worker, bool unread,
                         const char *why)
{
    if (!worker->given)
        return;
    if (!unread)
        charge_fail_first(workers, worker, PROTOCOL_HANDLER_FAILED, why);
    charge_give_back(workers, worker);
}

void worker_lose(struct workers *workers, struct worker *worker, const char *why)
{
    struct instance *instance = worker->instance;
    charge_reply_to_first(workers, worker);
    bool unread = input_is_unread(workers, worker), unseen = worker->state.unseen;
    if (worker->given)
        score_requests(worker->score, worker->exchange.left + !unread);
    if (worker->state.answered)
        worker->start_ms = workers->instances->now_ms;
    else
        count_failure(workers, worker);
    log_lost(workers, worker, why);
    if (worker->tagged)
        lose_tagged(workers, worker, why);
    detach(workers, worker);
    instance_end(workers->instances, instance, false);
    lose_request(workers, worker, unread, why);
    if (worker->exchange.request && unseen) {
        exchange_refuse(&worker->exchange, PROTOCOL_HANDLER_FAILED, why);
        charge_release(workers, worker);
    } else if (worker->exchange.request && worker_is_down(worker)) {
        charge_refuse_unavailable(workers, worker);
    }
    phase_schedule(workers, worker);
}

void worker_break_off(struct workers *workers, struct worker *worker)
{
    if (worker->phase == WORKER_BROKEN)
        return;
    turns_stop(workers, worker);
    phase_enter(workers, worker, WORKER_BROKEN);
    worker->broken_ms = workers->instances->now_ms + BROKEN_MS;
    phase_schedule(workers, worker);
}

void worker_give_up_start(struct workers *workers, struct worker *worker)
{
    char why[128];
    snprintf(why, sizeof why, "the program was not ready for a request within %lld ms",
             (long long) workers->rules->start_timeout_ms);
    /* As good as if it had failed again and again. */
    worker->failures = WORKER_MAX_FAILURES - 1;
    worker_lose(workers, worker, why);
}

/* ---- the start of an instance ---- */

int worker_start(struct workers *workers, struct worker *worker)
{
    int failure;
    int64_t timeout = workers->rules->start_timeout_ms;
    struct spawn_options options = workers->instances->spawn;
    struct variables variables;
    if (worker->flow)
        variables_set(&variables, &options, worker->flow->session, worker->flow->peer);
    worker->instance = instance_start(workers->instances, worker->number, &options, &failure);
    workers->changed = true;
    if (worker->instance) {
        worker->instance->worker = worker;
        score_number(worker->score, worker->number);
        score_pid(worker->score, worker->instance->group.id);
        if (worker->has_started)
            scoreboard_replaced(&workers->instances->scoreboard, worker->score);
        worker->has_started = true;
        worker->is_outdated = false;
        worker->state.ready_ms = timeout ? workers->instances->now_ms + timeout : CLOCK_NEVER;
        phase_enter(workers, worker, WORKER_STARTING);
        if (workers->on_demand)
            starts_begin(workers, worker);
        phase_schedule(workers, worker);
        if (turns_start(workers, worker) == TURN_BROKEN)
            worker_break_off(workers, worker);
        return 0;
    }
    char why[128];
    count_failure(workers, worker);
    snprintf(why, sizeof why, "unable to start it: %s", strerror(failure));
    log_lost(workers, worker, why);
    phase_schedule(workers, worker);
    return failure;
}

void worker_replace(struct workers *workers, struct worker *worker)
{
    struct instance *instance = worker->instance;
    worker->start_ms = workers->instances->now_ms;
    log_lost(workers, worker, workers->why);
    score_requests(worker->score, worker->exchange.count);
    detach(workers, worker);
    charge_release(workers, worker);
    if (!workers->on_demand && !worker->is_retired)
        worker_start(workers, worker);
    instance_end(workers->instances, instance, false);
}
