/* worker: from one request to the next. */
#include "server/handlers/program/worker.h"

#include "common/clock.h"
#include "common/protocol.h"
#include "server/handlers/program/charge.h"
#include "server/handlers/program/instance_end.h"
#include "server/handlers/program/phase.h"
#include "server/handlers/program/queue.h"
#include "server/handlers/program/respawn.h"
#include "server/handlers/program/starts.h"
#include "server/handlers/program/tagged_worker.h"
#include "server/handlers/program/tagged.h"
#include "server/handlers/program/turns.h"

void workers_init(struct workers *workers, struct instances *instances,
                  const struct turn_rules *rules)
{
    *workers = (struct workers){.instances = instances, .rules = rules, .look_due_us = CLOCK_NEVER};
    TAILQ_INIT(&workers->idle);
    TAILQ_INIT(&workers->line);
    TAILQ_INIT(&workers->spare_line);
}

void workers_add(struct workers *workers, struct worker *worker)
{
    worker->score = scoreboard_take(&workers->instances->scoreboard, worker->number);
    LIST_INSERT_HEAD(&workers->all, worker, entry);
}

void worker_fini(struct workers *workers, struct worker *worker, bool gently)
{
    LIST_REMOVE(worker, entry);
    worker_end_instance(workers, worker, gently);
    charge_fini(workers, worker);
    tagged_worker_fini(worker);
    scoreboard_release(&workers->instances->scoreboard, worker->score);
}

/* ---- what has come of a turn ---- */

static void hand_over(struct workers *workers, struct worker *worker);

/* The instance is ready for its first request. */
static void get_ready(struct workers *workers, struct worker *worker)
{
    workers->started = true;
    workers->changed = true;
    phase_enter(workers, worker, WORKER_IDLE);
    if (worker->exchange.request)
        hand_over(workers, worker);
}

static void end_turn(struct workers *workers, struct worker *worker)
{
    turns_stop(workers, worker);
    if (workers->rules->ahead > 1)
        pace_add(&workers->pace, workers->instances->now_us - worker->begun_us,
                 worker->exchange.count);
    score_requests(worker->score, worker->exchange.count);
    charge_release(workers, worker);
    phase_enter(workers, worker, WORKER_IDLE);
}

/* What has come of its instance. */
static void act_on(struct workers *workers, struct worker *worker, enum turn_outcome outcome)
{
    switch (outcome) {
    case TURN_GOES_ON:
        break;
    case TURN_READY:
        get_ready(workers, worker);
        break;
    case TURN_OVER:
        end_turn(workers, worker);
        break;
    case TURN_REPLACE:
        worker_replace(workers, worker);
        break;
    case TURN_BROKEN:
        worker_break_off(workers, worker);
        break;
    case TURN_LOST:
        worker_lose(workers, worker, workers->why);
        break;
    }
}

/* ---- requests ---- */

unsigned workers_most_at_once(const struct workers *workers)
{
    return pace_fit(&workers->pace, workers->rules->ahead);
}

/* The instance is idle: it gets the request, unless nobody waits for the answer any more. */
static void hand_over(struct workers *workers, struct worker *worker)
{
    if (workers->recalled)
        return;
    exchange_start(&worker->exchange);
    if (!worker->exchange.request) {
        charge_release(workers, worker);
        return;
    }
    int64_t timeout_ms = workers->rules->handler_timeout_ms;
    worker->late_ms = timeout_ms ? workers->instances->now_ms + timeout_ms : CLOCK_NEVER;
    charge_stop_clock(workers, worker);
    if (!worker->clock && timeout_ms)
        worker->late_ms += EXCHANGE_LATE_GRACE_MS;
    worker->begun_us = workers->instances->now_us;
    worker->given = true;
    phase_enter(workers, worker, WORKER_IN_TURN);
    phase_schedule(workers, worker);
    act_on(workers, worker, turns_begin(workers, worker));
}

bool worker_stays_idle(struct workers *workers, struct worker *worker)
{
    act_on(workers, worker, turns_check(workers, worker));
    return worker->phase == WORKER_IDLE;
}

struct worker *workers_idle(struct workers *workers)
{
    struct worker *worker;
    while ((worker = TAILQ_FIRST(&workers->idle)) && !worker_stays_idle(workers, worker))
        continue;
    return worker;
}

/* The request of a session gets its instance, waits for one, or is refused because none will come
 * soon. */
static void find_instance(struct workers *workers, struct worker *worker)
{
    if (worker->phase == WORKER_EMPTY && worker->start_ms <= workers->instances->now_ms)
        starts_wait(workers, worker);
    if (worker->phase == WORKER_IDLE) {
        hand_over(workers, worker);
    } else if (worker_is_down(worker)) {
        charge_refuse_unavailable(workers, worker);
    } else {
        phase_schedule(workers, worker);
    }
}

void worker_give(struct workers *workers, struct worker *worker, struct request *const *requests,
                 unsigned count)
{
    charge_take(worker, requests, count);
    worker->given = false;
    /* For a shared worker, workers_idle() has checked this. */
    if (worker->phase == WORKER_BROKEN)
        worker_lose(workers, worker, worker->broken);
    else if (workers->on_demand && worker->phase == WORKER_IDLE)
        worker_stays_idle(workers, worker);
    find_instance(workers, worker);
}

void worker_write_added(struct workers *workers, struct worker *worker)
{
    if (worker->phase == WORKER_IDLE && !tagged_is_written(worker->tagged))
        act_on(workers, worker, turns_write_tagged(workers, worker));
}

/* ---- events ---- */

void worker_read(struct workers *workers, struct worker *worker)
{
    enum turn_outcome outcome = turns_read(workers, worker);
    tagged_worker_show(worker);
    act_on(workers, worker, outcome);
}

void worker_write(struct workers *workers, struct worker *worker)
{
    act_on(workers, worker, turns_write(workers, worker));
}

void worker_exited(struct workers *workers, struct worker *worker)
{
    struct instance *instance = worker->instance;
    act_on(workers, worker, turns_exited(workers, worker));
    instance_exited(workers->instances, instance);
}

void workers_look(struct workers *workers)
{
    int64_t now_us = workers->instances->now_us;
    if (workers->look_due_us > now_us)
        return;
    struct worker *worker, *next;
    for (worker = LIST_FIRST(&workers->looking); worker; worker = next) {
        next = LIST_NEXT(worker, timer.entry); /* this one may leave the list */
        if (worker->timer.due_us <= now_us)
            act_on(workers, worker, turns_look(workers, worker));
    }
    workers->look_due_us = CLOCK_NEVER;
    LIST_FOREACH(worker, &workers->looking, timer.entry)
        if (worker->timer.due_us < workers->look_due_us)
            workers->look_due_us = worker->timer.due_us;
}

/* ---- time ---- */

/* Several requests were given: whether one was answered since the last time, so that the next one
 * has its time from then on. */
static bool has_gone_on(struct workers *workers, struct worker *worker)
{
    unsigned replies = worker->exchange.answer.replies;
    if (!worker->clock || replies == worker->replies || worker->exchange.replied)
        return false;
    worker->replies = replies;
    worker->late_ms = worker->state.spoken_us / 1000 + workers->rules->handler_timeout_ms;
    return worker->late_ms > workers->instances->looked_ms;
}

/* One request was given: whether the engine, which may have seen more of a pause, waits for its
 * answer for longer. */
static bool is_waited_for(const struct workers *workers, struct worker *worker)
{
    if (worker->clock || worker->exchange.replied)
        return false;
    int64_t deadline_ms = queue_deadline_ms(workers->queue, worker->exchange.request);
    int64_t late_ms = exchange_late_ms(deadline_ms, workers->instances->paused_ms);
    if (deadline_ms == CLOCK_NEVER || late_ms <= workers->instances->looked_ms)
        return false;
    worker->late_ms = late_ms;
    return true;
}

/* The instance has not answered in time. */
static void be_late(struct workers *workers, struct worker *worker)
{
    charge_reply_to_first(workers, worker);
    charge_fail_first(workers, worker, PROTOCOL_HANDLER_TIMEOUT,
                      "the handler has not answered in time");
    charge_give_back(workers, worker);
    worker_lose(workers, worker, "the program has not answered in time");
}

/* Its turn has lasted long enough, unless it has answered a part of it. */
static void check_turn(struct workers *workers, struct worker *worker)
{
    if (has_gone_on(workers, worker) || is_waited_for(workers, worker))
        phase_schedule(workers, worker);
    else
        be_late(workers, worker);
}

static void act(struct workers *workers, struct worker *worker)
{
    int64_t looked_ms = workers->instances->looked_ms;
    if (phase_due_ms(worker) > looked_ms) {
        phase_schedule(workers, worker);
    } else if (worker->phase == WORKER_EMPTY) {
        if (worker->exchange.request)
            find_instance(workers, worker);
        else if (workers->on_demand)
            starts_wait(workers, worker);
        else
            worker_start(workers, worker);
    } else if (worker->phase == WORKER_STARTING && worker->state.ready_ms <= looked_ms) {
        worker_give_up_start(workers, worker);
    } else if (worker->phase == WORKER_STARTING) {
        starts_check(workers, worker);
        phase_schedule(workers, worker);
    } else if (worker->phase == WORKER_IDLE) {
        tagged_worker_check_time(workers, worker);
    } else if (worker->phase == WORKER_BROKEN && worker->broken_ms <= looked_ms) {
        worker_lose(workers, worker, worker->broken);
    } else if (worker->exchange.replied) {
        worker_lose(workers, worker, "the program has not asked for more in time");
    } else {
        check_turn(workers, worker);
    }
}

void workers_start_next(struct workers *workers)
{
    struct worker *worker = starts_next(workers);
    if (worker)
        worker_start(workers, worker);
}

void workers_act(struct workers *workers)
{
    struct worker *worker;
    LIST_FOREACH(worker, &workers->all, entry)
        act(workers, worker);
}
