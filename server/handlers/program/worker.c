/* worker: from one request to the next, and from one instance to the next. */
#include "server/handlers/program/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/handlers/program/patience.h"
#include "server/handlers/program/queue.h"
#include "server/handlers/program/tagged.h"
#include "server/handlers/program/turns.h"
#include "server/handlers/program/variables.h"
#include "server/log/log.h"
#include "server/request.h"

enum {
    FIRST_DELAY_MS = 50, /* before the next start after a failure; doubles with each one */
    LATE_GRACE_MS = 10,  /* after a request's deadline, at which the engine answers */
    /* An instance that has closed a pipe is most often about to end, and its status says more. */
    BROKEN_MS = 100,
    /* One that is asleep after so long, or has not started after that, lets the next one start
     * beside it. */
    START_CHECK_MS = 50,
    START_TURN_MS = 1000,
};

void workers_init(struct workers *workers, struct instances *instances,
                  const struct turn_rules *rules)
{
    *workers = (struct workers){.instances = instances, .rules = rules, .look_due_us = CLOCK_NEVER};
    TAILQ_INIT(&workers->idle);
    TAILQ_INIT(&workers->line);
    TAILQ_INIT(&workers->spare_line);
}

bool worker_is_down(const struct worker *worker)
{
    return !worker_is_ready(worker) && worker->failures >= WORKER_MAX_FAILURES;
}

/* ---- the order of starts ---- */

static struct worker_line *line_of(struct workers *workers, const struct worker *worker)
{
    return worker->flow ? &workers->line : &workers->spare_line;
}

static void leave_line(struct workers *workers, struct worker *worker)
{
    if (worker->in_line)
        TAILQ_REMOVE(line_of(workers, worker), worker, line_entry);
    worker->in_line = false;
}

/* It is counted as one that starts, and goes behind those that run. */
static void begin_start(struct workers *workers, struct worker *worker)
{
    worker->start_ms = workers->instances->now_ms;
    worker->starts_until_ms = worker->start_ms + START_CHECK_MS;
    workers->starting++;
    patience_begin(worker->instance->group.id);
}

static void end_start(struct workers *workers, struct worker *worker)
{
    if (!worker->starts_until_ms)
        return;
    worker->starts_until_ms = 0;
    workers->starting--;
    patience_end(worker->instance->group.id);
}

bool workers_may_start(const struct workers *workers)
{
    return workers->starting < workers->max_starting &&
           (!TAILQ_EMPTY(&workers->line) || !TAILQ_EMPTY(&workers->spare_line));
}

bool workers_start_next(struct workers *workers)
{
    if (!workers_may_start(workers))
        return false;
    struct worker *worker = TAILQ_EMPTY(&workers->line) ? TAILQ_FIRST(&workers->spare_line)
                                                        : TAILQ_FIRST(&workers->line);
    leave_line(workers, worker);
    worker_start(workers, worker);
    return true;
}

void worker_start_in_turn(struct workers *workers, struct worker *worker)
{
    if (!worker->in_line)
        TAILQ_INSERT_TAIL(line_of(workers, worker), worker, line_entry);
    worker->in_line = true;
}

/* ---- phases ---- */

static void enter(struct workers *workers, struct worker *worker, enum worker_phase phase)
{
    if (worker->phase == WORKER_IDLE)
        TAILQ_REMOVE(&workers->idle, worker, idle_entry);
    if (worker->phase == WORKER_STARTING)
        end_start(workers, worker);
    worker->phase = phase;
    if (phase == WORKER_IDLE && worker->state.answered)
        TAILQ_INSERT_HEAD(&workers->idle, worker, idle_entry);
    else if (phase == WORKER_IDLE)
        TAILQ_INSERT_TAIL(&workers->idle, worker, idle_entry);
    workers->changed = workers->changed || (phase != WORKER_IDLE && phase != WORKER_IN_TURN);
}

static int64_t due_ms(const struct worker *worker)
{
    switch (worker->phase) {
    case WORKER_EMPTY:
        return !worker->in_line && (!worker->flow || worker->exchange.request) ? worker->start_ms
                                                                               : CLOCK_NEVER;
    case WORKER_STARTING:
        return worker->starts_until_ms && worker->starts_until_ms < worker->state.ready_ms
                   ? worker->starts_until_ms
                   : worker->state.ready_ms;
    case WORKER_IN_TURN:
        return worker->late_ms;
    case WORKER_BROKEN:
        return worker->given && worker->late_ms < worker->broken_ms ? worker->late_ms
                                                                    : worker->broken_ms;
    default:
        return worker->tagged && worker->tagged->count > 0 ? worker->late_ms : CLOCK_NEVER;
    }
}

static void schedule(struct workers *workers, const struct worker *worker)
{
    instances_schedule(workers->instances, due_ms(worker));
}

/* ---- the request's end ---- */

/* Several requests are given at once: from now on their time is this worker's to keep. */
static void stop_clock(struct workers *workers, struct worker *worker)
{
    worker->replies = 0;
    if (exchange_has_several(&worker->exchange) && worker->late_ms != CLOCK_NEVER)
        worker->clock =
            queue_stop_clock(workers->queue, worker->exchange.request, workers->instances->now_ms);
}

static void start_clock(struct workers *workers, struct worker *worker)
{
    if (worker->clock)
        queue_start_clock(workers->queue, worker->clock, workers->instances->now_ms);
    worker->clock = NULL;
}

/* The request has gone: the session's next one can come. */
static void request_gone(struct workers *workers, struct worker *worker)
{
    worker->given = false;
    start_clock(workers, worker);
    if (workers->done)
        workers->done(workers, worker);
}

static void release(struct workers *workers, struct worker *worker)
{
    exchange_end(&worker->exchange);
    request_gone(workers, worker);
}

static void end_turn(struct workers *workers, struct worker *worker)
{
    turns_stop(workers, worker);
    if (workers->rules->ahead > 1)
        pace_add(&workers->pace, workers->instances->now_us - worker->begun_us,
                 worker->exchange.count);
    release(workers, worker);
    enter(workers, worker, WORKER_IDLE);
}

/* ---- losing an instance ---- */

static int64_t delay_ms(unsigned failures)
{
    int64_t delay = FIRST_DELAY_MS;
    while (--failures > 0 && delay < WORKER_MAX_DELAY_MS)
        delay *= 2;
    return delay < WORKER_MAX_DELAY_MS ? delay : WORKER_MAX_DELAY_MS;
}

static void log_lost(struct workers *workers, const struct worker *worker, const char *why)
{
    char text[400], when[64] = "";
    int64_t delay = worker->start_ms - workers->instances->now_ms;
    if (delay > 0)
        snprintf(when, sizeof when, " in %lld ms", (long long) delay);
    int size = snprintf(text, sizeof text, "%llu is replaced%s: %s",
                        (unsigned long long) worker->number, when, why);
    log_put(workers->instances->log, LOG_WORKER_LOST, 0, text, (size_t) size);
    if (why != workers->why)
        snprintf(workers->why, sizeof workers->why, "%s", why);
}

static void count_failure(struct workers *workers, struct worker *worker)
{
    worker->failures++;
    /* If shared, all workers slow down together (worker_retry_slowly()). */
    bool slowly = workers->on_demand && worker->failures >= WORKER_MAX_FAILURES;
    worker->start_ms =
        workers->instances->now_ms + (slowly ? WORKER_MAX_DELAY_MS : delay_ms(worker->failures));
}

void worker_retry_slowly(struct workers *workers, struct worker *worker)
{
    worker->start_ms = workers->instances->now_ms + WORKER_MAX_DELAY_MS;
    schedule(workers, worker);
}

/* Whether the instance was given a request and has not read a byte of it: its input was empty
 * then. */
static bool is_unread(const struct workers *workers, const struct worker *worker)
{
    return worker->given && !worker->exchange.replied &&
           exchange_is_unread(&worker->exchange, workers->rules->end_size,
                              instance_unread(worker->instance));
}

/* Of several requests the first ones may be answered. */
static void reply_to_first(struct workers *workers, struct worker *worker)
{
    struct exchange *exchange = &worker->exchange;
    if (worker->given && exchange_has_several(exchange) && !exchange->answer.surplus)
        exchange_reply_each(exchange, &workers->rules->reply);
}

/* The lost instance does not get to the requests that are left: they go to another one. */
static void give_back(struct workers *workers, struct worker *worker)
{
    struct exchange *exchange = &worker->exchange;
    if (exchange->replied) {
        release(workers, worker);
    } else if (workers->unread) {
        struct request *requests[EXCHANGE_MAX + 1];
        unsigned count = 0;
        while ((requests[count] = exchange_return(exchange)))
            count++;
        while (count > 0)
            workers->unread(workers, requests[--count]);
        request_gone(workers, worker);
    } else {
        start_clock(workers, worker);
        exchange_again(exchange);
        worker->given = false;
    }
}

/* The lost instance was at the first request that is left. What it knew of a session that has it to
 * itself is gone, and so the error is the session's last answer. */
static void fail_first(const struct workers *workers, struct worker *worker, const char *code,
                       const char *text)
{
    if (!workers->on_demand) {
        exchange_refuse_first(&worker->exchange, code, text);
        return;
    }
    exchange_end_session(&worker->exchange);
    exchange_refuse(&worker->exchange, code, text); /* those behind it get no answer */
}

/* What becomes of the requests that the lost instance was given. */
static void lose_request(struct workers *workers, struct worker *worker, bool unread,
                         const char *why)
{
    if (!worker->given)
        return;
    if (!unread)
        fail_first(workers, worker, PROTOCOL_HANDLER_FAILED, why);
    give_back(workers, worker);
}

static void refuse_unavailable(struct workers *workers, struct worker *worker)
{
    exchange_refuse(&worker->exchange, PROTOCOL_UNAVAILABLE, WORKER_DOWN_TEXT);
    release(workers, worker);
}

static void detach(struct workers *workers, struct worker *worker)
{
    turns_stop(workers, worker);
    buffer_fini(&worker->state.greeting.text);
    enter(workers, worker, WORKER_EMPTY);
    worker->instance = NULL;
    worker->state = (struct instance_state){0};
    if (worker->tagged)
        tagged_reset(worker->tagged);
}

/* The same for requests with IDs: those of which nothing was read go to another instance. */
static void lose_tagged(struct workers *workers, struct worker *worker, const char *why)
{
    struct request *request;
    size_t unread = instance_unread(worker->instance);
    while ((request = tagged_return(worker->tagged, unread)))
        workers->unread(workers, request);
    tagged_refuse(worker->tagged, PROTOCOL_HANDLER_FAILED, why);
}

/* Ends the instance, and answers the request that was given to it with an error; or, if the
 * instance has not read any of that, gives it to another one. The next instance comes at once if
 * this one has answered; else the more have failed, the later. */
static void lose(struct workers *workers, struct worker *worker, const char *why)
{
    struct instance *instance = worker->instance;
    reply_to_first(workers, worker);
    bool unread = is_unread(workers, worker), unseen = worker->state.unseen;
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
        release(workers, worker);
    } else if (worker->exchange.request && worker_is_down(worker)) {
        refuse_unavailable(workers, worker);
    }
    schedule(workers, worker);
}

/* The turn is over, but another instance shall take this one's place, which is no failure: it is
 * started first. */
static void replace(struct workers *workers, struct worker *worker)
{
    struct instance *instance = worker->instance;
    worker->start_ms = workers->instances->now_ms;
    log_lost(workers, worker, workers->why);
    detach(workers, worker);
    release(workers, worker);
    if (!workers->on_demand)
        worker_start(workers, worker);
    instance_end(workers->instances, instance, false);
}

/* The instance can't go on. How it ends, if it does, will be known in a moment. */
static void break_off(struct workers *workers, struct worker *worker)
{
    if (worker->phase == WORKER_BROKEN)
        return;
    turns_stop(workers, worker);
    enter(workers, worker, WORKER_BROKEN);
    worker->broken_ms = workers->instances->now_ms + BROKEN_MS;
    schedule(workers, worker);
}

static void hand_over(struct workers *workers, struct worker *worker);

/* The instance is ready for its first request. */
static void get_ready(struct workers *workers, struct worker *worker)
{
    workers->started = true;
    workers->changed = true;
    enter(workers, worker, WORKER_IDLE);
    if (worker->exchange.request)
        hand_over(workers, worker);
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
        replace(workers, worker);
        break;
    case TURN_BROKEN:
        break_off(workers, worker);
        break;
    case TURN_LOST:
        lose(workers, worker, workers->why);
        break;
    }
}

/* ---- starting ---- */

int worker_start(struct workers *workers, struct worker *worker)
{
    int failure;
    int64_t timeout = workers->rules->start_timeout_ms;
    struct spawn_options options = workers->instances->spawn;
    struct variables variables;
    if (worker->flow)
        variables_set(&variables, &options, worker->flow->session, worker->flow->address);
    worker->instance = instance_start(workers->instances, worker->number, &options, &failure);
    workers->changed = true;
    if (worker->instance) {
        worker->instance->worker = worker;
        worker->state.ready_ms = timeout ? workers->instances->now_ms + timeout : CLOCK_NEVER;
        enter(workers, worker, WORKER_STARTING);
        if (workers->on_demand)
            begin_start(workers, worker);
        schedule(workers, worker);
        act_on(workers, worker, turns_start(workers, worker));
        return 0;
    }
    char why[128];
    count_failure(workers, worker);
    snprintf(why, sizeof why, "unable to start it: %s", strerror(failure));
    log_lost(workers, worker, why);
    schedule(workers, worker);
    return failure;
}

/* It still starts: whether that costs the others anything. */
static void check_start(struct workers *workers, struct worker *worker)
{
    int64_t now_ms = workers->instances->now_ms;
    if (now_ms >= worker->start_ms + START_TURN_MS || process_is_asleep(worker->instance->group.id))
        end_start(workers, worker);
    else
        worker->starts_until_ms = now_ms + START_CHECK_MS;
}

/* Too late: as good as if it had failed again and again. */
static void give_up_start(struct workers *workers, struct worker *worker)
{
    char why[128];
    snprintf(why, sizeof why, "the program was not ready for a request within %lld ms",
             (long long) workers->rules->start_timeout_ms);
    worker->failures = WORKER_MAX_FAILURES - 1;
    lose(workers, worker, why);
}

/* ---- requests ---- */

/* The instance is idle: it gets the request, unless nobody waits for the answer any more. */
static void hand_over(struct workers *workers, struct worker *worker)
{
    exchange_again(&worker->exchange); /* without those for which nobody waits any more */
    if (!worker->exchange.request) {
        release(workers, worker);
        return;
    }
    int64_t deadline_ms = queue_deadline_ms(workers->queue, worker->exchange.request);
    worker->late_ms = deadline_ms;
    stop_clock(workers, worker);
    if (!worker->clock && deadline_ms != CLOCK_NEVER)
        worker->late_ms += LATE_GRACE_MS;
    worker->begun_us = workers->instances->now_us;
    worker->given = true;
    enter(workers, worker, WORKER_IN_TURN);
    schedule(workers, worker);
    act_on(workers, worker, turns_begin(workers, worker));
}

/* Whether the idle instance has written nothing unasked; else it is lost. */
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

struct worker *workers_with_room(struct workers *workers)
{
    struct worker *worker, *emptiest = NULL;
    TAILQ_FOREACH(worker, &workers->idle, idle_entry)
        if (!tagged_is_full(worker->tagged) &&
            (!emptiest || worker->tagged->count < emptiest->tagged->count))
            emptiest = worker;
    return emptiest;
}

void worker_add(struct workers *workers, struct worker *worker, struct request *request)
{
    struct tagged *tagged = worker->tagged;
    int64_t at_ms = request_deadline_ms(request);
    if (!request_is_over(request) && tagged_add(tagged, request, workers->instances->now_us)) {
        if (at_ms != CLOCK_NEVER)
            at_ms += LATE_GRACE_MS;
        if (tagged->count == 1 || at_ms < worker->late_ms)
            worker->late_ms = at_ms;
        schedule(workers, worker);
        return;
    }
    if (!request_is_over(request))
        request_refuse(request, PROTOCOL_HANDLER_FAILED, "out of memory");
    request_release(request);
}

void worker_write_added(struct workers *workers, struct worker *worker)
{
    if (worker->phase == WORKER_IDLE && !tagged_is_written(worker->tagged))
        act_on(workers, worker, turns_write_tagged(workers, worker));
}

/* Some of the requests with IDs may be late. That ends the instance only if it hangs, or if it has
 * left as many unanswered as it may have. */
static void check_tagged(struct workers *workers, struct worker *worker)
{
    struct tagged_times times = tagged_check_time(worker->tagged, workers->instances->now_ms,
                                                  worker->state.spoken_us, LATE_GRACE_MS);
    worker->late_ms = times.next_ms;
    if (times.hung)
        lose(workers, worker, "the program has not answered in time");
    else if (times.next_ms == CLOCK_NEVER && tagged_is_full(worker->tagged))
        lose(workers, worker, "the program has left too many requests without an answer");
    else
        schedule(workers, worker);
}

/* The request of a session gets its instance, waits for one, or is refused because none will come
 * soon. */
static void find_instance(struct workers *workers, struct worker *worker)
{
    if (worker->phase == WORKER_EMPTY && worker->start_ms <= workers->instances->now_ms)
        worker_start_in_turn(workers, worker);
    if (worker->phase == WORKER_IDLE) {
        hand_over(workers, worker);
    } else if (worker_is_down(worker)) {
        refuse_unavailable(workers, worker);
    } else {
        schedule(workers, worker);
    }
}

static void take_requests(struct worker *worker, struct request *const *requests, unsigned count)
{
    exchange_begin(&worker->exchange, requests[0]);
    for (unsigned i = 1; i < count; i++)
        if (!exchange_add(&worker->exchange, requests[i])) {
            request_refuse(requests[i], PROTOCOL_HANDLER_FAILED, "out of memory");
            request_release(requests[i]);
        }
}

void worker_give(struct workers *workers, struct worker *worker, struct request *const *requests,
                 unsigned count)
{
    take_requests(worker, requests, count);
    worker->given = false;
    /* For a shared worker, workers_idle() has checked this. */
    if (worker->phase == WORKER_BROKEN)
        lose(workers, worker, worker->broken);
    else if (workers->on_demand && worker->phase == WORKER_IDLE)
        worker_stays_idle(workers, worker);
    find_instance(workers, worker);
}

void worker_read(struct workers *workers, struct worker *worker)
{
    act_on(workers, worker, turns_read(workers, worker));
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

/* Several requests were given: whether one was answered since the last time, so that the next one
 * has its time from then on. */
static bool has_gone_on(struct workers *workers, struct worker *worker)
{
    unsigned replies = worker->exchange.answer.replies;
    if (!worker->clock || replies == worker->replies || worker->exchange.replied)
        return false;
    worker->replies = replies;
    worker->late_ms = worker->state.spoken_us / 1000 + workers->rules->handler_timeout_ms;
    return worker->late_ms > workers->instances->now_ms;
}

/* The instance has not answered in time. */
static void be_late(struct workers *workers, struct worker *worker)
{
    reply_to_first(workers, worker);
    fail_first(workers, worker, PROTOCOL_HANDLER_TIMEOUT, "the handler has not answered in time");
    give_back(workers, worker);
    lose(workers, worker, "the program has not answered in time");
}

/* Its turn has lasted long enough, unless it has answered a part of it. */
static void check_turn(struct workers *workers, struct worker *worker)
{
    if (has_gone_on(workers, worker))
        schedule(workers, worker);
    else
        be_late(workers, worker);
}

void worker_act(struct workers *workers, struct worker *worker)
{
    int64_t now_ms = workers->instances->now_ms;
    if (due_ms(worker) > now_ms) {
        schedule(workers, worker);
    } else if (worker->phase == WORKER_EMPTY) {
        if (worker->exchange.request)
            find_instance(workers, worker);
        else if (workers->on_demand)
            worker_start_in_turn(workers, worker);
        else
            worker_start(workers, worker);
    } else if (worker->phase == WORKER_STARTING && worker->state.ready_ms <= now_ms) {
        give_up_start(workers, worker);
    } else if (worker->phase == WORKER_STARTING) {
        check_start(workers, worker);
        schedule(workers, worker);
    } else if (worker->phase == WORKER_IDLE) {
        check_tagged(workers, worker);
    } else if (worker->phase == WORKER_BROKEN && worker->broken_ms <= now_ms) {
        lose(workers, worker, worker->broken);
    } else if (worker->exchange.replied) {
        lose(workers, worker, "the program has not asked for more in time");
    } else {
        check_turn(workers, worker);
    }
}

bool worker_use_ids(struct worker *worker, unsigned count)
{
    worker->tagged = calloc(1, sizeof *worker->tagged);
    return worker->tagged && tagged_init(worker->tagged, count);
}

void worker_fini(struct workers *workers, struct worker *worker, bool gently)
{
    struct instance *instance = worker->instance;
    leave_line(workers, worker);
    if (instance) {
        detach(workers, worker);
        instance_end(workers->instances, instance, gently);
    }
    start_clock(workers, worker);
    exchange_end(&worker->exchange);
    exchange_fini(&worker->exchange);
    if (worker->tagged)
        tagged_fini(worker->tagged);
    free(worker->tagged);
    worker->tagged = NULL;
}
