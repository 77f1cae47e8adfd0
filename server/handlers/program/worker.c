/* worker: from one request to the next, and from one instance to the next. */
#include "server/handlers/program/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/protocol.h"
#include "server/log/log.h"
#include "server/request.h"

enum {
    FIRST_DELAY_MS = 50, /* before the next start after a failure; doubles with each one */
    LATE_GRACE_MS = 10,  /* after a request's deadline, at which the engine answers */
    /* An instance that has closed a pipe is most often about to end, and its status says more. */
    BROKEN_MS = 100,
};

bool worker_is_down(const struct worker *worker)
{
    return !worker->instance && worker->failures >= WORKER_MAX_FAILURES;
}

/* ---- idle workers ---- */

static void join_idle(struct workers *workers, struct worker *worker)
{
    worker->is_idle = true;
    LIST_INSERT_HEAD(&workers->idle, worker, idle_entry);
}

static void leave_idle(struct worker *worker)
{
    if (worker->is_idle)
        LIST_REMOVE(worker, idle_entry);
    worker->is_idle = false;
}

/* ---- the next time to act ---- */

static int64_t due_ms(const struct worker *worker, const struct workers *workers)
{
    if (!worker->instance)
        return !workers->on_demand || worker->exchange.request ? worker->start_ms : INT64_MAX;
    int64_t at_ms = worker->broken ? worker->broken_ms : INT64_MAX;
    if (worker->exchange.request && worker->late_ms < at_ms)
        at_ms = worker->late_ms;
    return at_ms;
}

static void schedule(struct workers *workers, const struct worker *worker)
{
    instances_schedule(workers->instances, due_ms(worker, workers));
}

/* ---- the request's end ---- */

static void release(struct workers *workers, struct worker *worker)
{
    exchange_end(&worker->exchange);
    worker->given = false;
    if (workers->done)
        workers->done(workers, worker);
}

static void stop_watching_input(struct workers *workers, struct worker *worker)
{
    if (worker->input_watched)
        instance_watch_input(workers->instances, worker->instance, false);
    worker->input_watched = false;
}

/* The request is answered, and has been written to its end: the next one can come. */
static void finish(struct workers *workers, struct worker *worker)
{
    stop_watching_input(workers, worker);
    release(workers, worker);
    if (!worker->broken)
        join_idle(workers, worker);
}

/* ---- losing an instance ---- */

static int64_t delay_ms(unsigned failures)
{
    int64_t delay = FIRST_DELAY_MS;
    while (--failures > 0 && delay < WORKER_MAX_DELAY_MS)
        delay *= 2;
    return delay < WORKER_MAX_DELAY_MS ? delay : WORKER_MAX_DELAY_MS;
}

static void log_lost(const struct workers *workers, const struct worker *worker, const char *why)
{
    char text[300], when[64] = "";
    int64_t delay = worker->start_ms - workers->instances->now_ms;
    if (delay > 0)
        snprintf(when, sizeof when, " in %lld ms", (long long) delay);
    int size = snprintf(text, sizeof text, "%llu is replaced%s: %s",
                        (unsigned long long) worker->number, when, why);
    log_put(workers->instances->log, LOG_WORKER_LOST, 0, text, (size_t) size);
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

/* Ends the instance, and fails the request that was given to it. The next instance comes at once if
 * this one has answered; else the more have failed, the later. */
static void lose(struct workers *workers, struct worker *worker, const char *why)
{
    leave_idle(worker);
    stop_watching_input(workers, worker);
    if (worker->answered)
        worker->start_ms = workers->instances->now_ms;
    else
        count_failure(workers, worker);
    log_lost(workers, worker, why);
    instance_end(workers->instances, worker->instance, false);
    worker->instance = NULL;
    worker->broken = NULL;
    worker->answered = false;
    workers->changed = true;
    if (worker->given) {
        exchange_refuse(&worker->exchange, PROTOCOL_HANDLER_FAILED, why);
        release(workers, worker);
    }
    schedule(workers, worker);
}

/* The instance can't go on. How it ends, if it does, will be known in a moment. */
static void breaks(struct workers *workers, struct worker *worker, const char *why)
{
    if (worker->broken)
        return;
    leave_idle(worker);
    stop_watching_input(workers, worker);
    worker->broken = why;
    worker->broken_ms = workers->instances->now_ms + BROKEN_MS;
    schedule(workers, worker);
}

/* ---- writing and reading ---- */

static void watch_input(struct workers *workers, struct worker *worker)
{
    if (worker->input_watched)
        return;
    worker->input_watched = instance_watch_input(workers->instances, worker->instance, true);
    if (!worker->input_watched)
        lose(workers, worker, "out of memory");
}

void worker_write(struct workers *workers, struct worker *worker)
{
    if (!worker->given || worker->broken)
        return;
    switch (exchange_write(&worker->exchange, worker->instance->input.fd)) {
    case EXCHANGE_WRITTEN:
        stop_watching_input(workers, worker);
        if (worker->exchange.replied)
            finish(workers, worker);
        break;
    case EXCHANGE_BLOCKED:
        watch_input(workers, worker);
        break;
    case EXCHANGE_CLOSED:
        breaks(workers, worker, "the program has closed its input");
        break;
    }
}

/* Takes what the instance has written. False if it was lost over that. */
static bool take(struct workers *workers, struct worker *worker, const char *text, size_t size)
{
    bool asked = worker->given && !worker->exchange.replied;
    const char *why = asked ? exchange_take(&worker->exchange, text, size)
                            : "the program has written something that nobody had asked for";
    if (why) {
        lose(workers, worker, why);
        return false;
    }
    if (!worker->exchange.replied)
        return true;
    worker->answered = true;
    worker->failures = 0;
    if (exchange_is_written(&worker->exchange))
        finish(workers, worker);
    return true;
}

/* Reads once. False if there is nothing more to read, or the instance was lost. */
static bool read_some(struct workers *workers, struct worker *worker)
{
    struct instances *instances = workers->instances;
    struct channel *output = &worker->instance->output;
    if (output->fd < 0)
        return false;
    ssize_t got = read(output->fd, instances->scratch, sizeof instances->scratch);
    if (got > 0)
        return take(workers, worker, instances->scratch, (size_t) got);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    channel_close(output);
    breaks(workers, worker, "the program has closed its output");
    return false;
}

void worker_read(struct workers *workers, struct worker *worker) { read_some(workers, worker); }

void worker_exited(struct workers *workers, struct worker *worker)
{
    struct instance *instance = worker->instance;
    char how[64], why[128];
    /* It may have answered before it ended. */
    while (worker->instance && read_some(workers, worker))
        continue;
    if (worker->instance) {
        instance_describe_end(instance, how, sizeof how);
        snprintf(why, sizeof why, "the program %s%s", how,
                 exchange_is_in_answer(&worker->exchange) ? " in the middle of its answer" : "");
        lose(workers, worker, why);
    }
    instance_exited(workers->instances, instance);
}

/* ---- starting ---- */

int worker_start(struct workers *workers, struct worker *worker)
{
    int failure;
    worker->instance = instance_start(workers->instances, worker->number, worker, &failure);
    workers->changed = true;
    if (worker->instance) {
        join_idle(workers, worker);
        return 0;
    }
    char why[128];
    count_failure(workers, worker);
    snprintf(why, sizeof why, "unable to start it: %s", strerror(failure));
    log_lost(workers, worker, why);
    schedule(workers, worker);
    return failure;
}

/* Whether the instance has written something while it had no request. */
static bool has_spoken(const struct worker *worker)
{
    int readable = 0;
    return ioctl(worker->instance->output.fd, FIONREAD, &readable) == 0 && readable > 0;
}

struct worker *workers_idle(struct workers *workers)
{
    struct worker *worker;
    while ((worker = LIST_FIRST(&workers->idle)) && has_spoken(worker))
        worker_read(workers, worker);
    return worker;
}

/* ---- requests ---- */

/* The request gets an instance, waits for one, or is refused because none will come soon. */
static void find_instance(struct workers *workers, struct worker *worker)
{
    if (!worker->instance && worker->start_ms <= workers->instances->now_ms)
        worker_start(workers, worker);
    if (worker->instance) {
        leave_idle(worker);
        worker->given = true;
        worker_write(workers, worker);
    } else if (worker_is_down(worker)) {
        exchange_refuse(&worker->exchange, PROTOCOL_UNAVAILABLE, WORKER_DOWN_TEXT);
        release(workers, worker);
        return;
    }
    schedule(workers, worker);
}

void worker_give(struct workers *workers, struct worker *worker, struct request *request)
{
    int64_t deadline_ms = request_deadline_ms(request);
    exchange_begin(&worker->exchange, request);
    worker->late_ms = deadline_ms == INT64_MAX ? INT64_MAX : deadline_ms + LATE_GRACE_MS;
    worker->given = false;
    /* For a shared worker, workers_idle() has checked this. */
    if (worker->instance && worker->broken)
        lose(workers, worker, worker->broken);
    else if (workers->on_demand && worker->instance && has_spoken(worker))
        worker_read(workers, worker);
    find_instance(workers, worker);
}

void worker_act(struct workers *workers, struct worker *worker)
{
    int64_t now_ms = workers->instances->now_ms;
    if (due_ms(worker, workers) > now_ms) {
        schedule(workers, worker);
    } else if (!worker->instance) {
        if (worker->exchange.request)
            find_instance(workers, worker);
        else
            worker_start(workers, worker);
    } else if (worker->broken && worker->broken_ms <= now_ms) {
        lose(workers, worker, worker->broken);
    } else {
        exchange_refuse(&worker->exchange, PROTOCOL_HANDLER_TIMEOUT,
                        "the handler has not answered in time");
        lose(workers, worker, "the program has not answered in time");
    }
}

void worker_fini(struct workers *workers, struct worker *worker)
{
    leave_idle(worker);
    if (worker->instance)
        instance_end(workers->instances, worker->instance, true);
    exchange_end(&worker->exchange);
}
