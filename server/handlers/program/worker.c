/* program_worker: one line to the copy, one line back. */
#include "server/handlers/program/worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/protocol.h"
#include "server/log/log.h"
#include "server/request.h"

enum {
    FIRST_DELAY_MS = 50, /* before the next start after a failure; doubles with each one */
    LATE_GRACE_MS = 10,  /* the engine answers at the deadline; this much later it has done so */
    BROKEN_MS =
        /* a copy that has closed a pipe is most often about to end, and its status tells more */
    100,
};

bool worker_is_down(const struct worker *worker)
{
    return !worker->instance && worker->failures >= WORKER_MAX_FAILURES;
}

/* ---- the list of those that can be given a request ---- */

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

/* ---- what a worker waits for ---- */

static int64_t due_ms(const struct worker *worker, const struct workers *workers)
{
    if (!worker->instance)
        return !workers->on_demand || worker->request ? worker->start_ms : INT64_MAX;
    int64_t at_ms = worker->broken ? worker->broken_ms : INT64_MAX;
    if (worker->request && worker->late_ms < at_ms)
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
    request_release(worker->request);
    worker->request = NULL;
    worker->given = false;
    if (workers->done)
        workers->done(workers, worker);
}

/* Answers, unless nobody waits for it any more: then an answer would only be logged as dropped. */
static void __attribute__((format(printf, 3, 4)))
refuse(struct worker *worker, const char *code, const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!worker->replied && !request_is_over(worker->request))
        request_refuse(worker->request, code, "%s", text);
    worker->replied = true;
}

static void stop_watching_input(struct workers *workers, struct worker *worker)
{
    if (worker->input_watched)
        instance_watch_input(workers->instances, worker->instance, false);
    worker->input_watched = false;
}

/* The request is answered, and was written to its end: the next one can come. */
static void finish(struct workers *workers, struct worker *worker)
{
    stop_watching_input(workers, worker);
    release(workers, worker);
    if (!worker->broken)
        join_idle(workers, worker);
}

/* ---- losing a copy ---- */

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
    /* A copy of one session's is down alone. */
    bool slowly = workers->on_demand && worker->failures >= WORKER_MAX_FAILURES;
    worker->start_ms =
        workers->instances->now_ms + (slowly ? WORKER_MAX_DELAY_MS : delay_ms(worker->failures));
}

void worker_retry_slowly(struct workers *workers, struct worker *worker)
{
    worker->start_ms = workers->instances->now_ms + WORKER_MAX_DELAY_MS;
    schedule(workers, worker);
}

/* Ends the copy; the request that was given to it fails for the reason. A new copy comes at once
 * if this one has answered, and the later the more often none has. */
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
    buffer_fini(&worker->answer);
    if (worker->request && worker->given) {
        refuse(worker, PROTOCOL_HANDLER_FAILED, "%s", why);
        release(workers, worker);
    }
    schedule(workers, worker);
}

/* It can't go on; how it ends, if it does, is known in a moment. */
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

/* ---- writing ---- */

/* One write of what is left of the message and its newline. */
static ssize_t write_some(const struct worker *worker)
{
    static char newline[] = "\n";
    size_t size = request_size(worker->request);
    struct iovec parts[2];
    int count = 0;
    if (worker->written < size) {
        /* writev(2) does not write to it. */
        char *message = (char *) (uintptr_t) request_message(worker->request);
        parts[count++] = (struct iovec){message + worker->written, size - worker->written};
    }
    parts[count++] = (struct iovec){newline, 1};
    return writev(worker->instance->input.fd, parts, count);
}

void worker_write(struct workers *workers, struct worker *worker)
{
    ssize_t written;
    if (!worker->request || !worker->given || worker->broken)
        return;
    do {
        written = write_some(worker);
    } while (written < 0 && errno == EINTR);
    if (written < 0 && errno != EAGAIN) {
        breaks(workers, worker, "the program has closed its input");
        return;
    }
    worker->written += written > 0 ? (size_t) written : 0;
    if (worker->written > request_size(worker->request)) {
        stop_watching_input(workers, worker);
        if (worker->replied)
            finish(workers, worker);
    } else if (!worker->input_watched) {
        worker->input_watched = instance_watch_input(workers->instances, worker->instance, true);
        if (!worker->input_watched)
            lose(workers, worker, "out of memory");
    }
}

/* ---- reading ---- */

static void reply(struct workers *workers, struct worker *worker, const char *line, size_t size)
{
    if (size > 0 && line[size - 1] == '\r')
        size--; /* CR LF is a line's end too */
    if (size > PROTOCOL_MAX_REPLY)
        refuse(worker, PROTOCOL_HANDLER_FAILED, "the program's answer is longer than 16 MiB");
    else if (!request_is_over(worker->request))
        request_reply(worker->request, line, size);
    worker->replied = true;
    worker->answered = true;
    worker->failures = 0;
    if (worker->written > request_size(worker->request))
        finish(workers, worker);
}

/* Takes what was read. False when the copy was lost over it. */
static bool take(struct workers *workers, struct worker *worker, const char *text, size_t size)
{
    struct buffer *answer = &worker->answer;
    if (!worker->request || !worker->given || worker->replied) {
        lose(workers, worker, "the program has written something that nobody had asked for");
        return false;
    }
    const char *newline = memchr(text, '\n', size);
    size_t length = newline ? (size_t) (newline - text) : size;
    bool whole = newline && buffer_size(answer) == 0;
    if (!whole && buffer_size(answer) + length > PROTOCOL_MAX_REPLY + 1) {
        lose(workers, worker, "the program's answer is longer than 16 MiB");
        return false;
    }
    if (!whole && !buffer_append(answer, text, length)) {
        lose(workers, worker, "out of memory");
        return false;
    }
    if (!newline)
        return true;
    if (length + 1 < size) {
        lose(workers, worker, "the program has answered more than one line");
        return false;
    }
    if (whole)
        reply(workers, worker, text, length);
    else
        reply(workers, worker, buffer_head(answer), buffer_size(answer));
    if (!whole)
        buffer_fini(answer);
    return true;
}

/* Reads once. False when there is nothing more to be read, or the copy was lost. */
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
    /* What it has written before is still an answer. */
    while (worker->instance && read_some(workers, worker))
        continue;
    if (worker->instance) {
        instance_describe_end(instance, how, sizeof how);
        snprintf(why, sizeof why, "the program %s%s", how,
                 buffer_size(&worker->answer) > 0 ? " in the middle of its answer" : "");
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

/* Whether something came while it had no request. */
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

/* A request that has no copy yet gets one, waits for one, or is told that there is none. */
static void find_copy(struct workers *workers, struct worker *worker)
{
    if (!worker->instance && worker->start_ms <= workers->instances->now_ms)
        worker_start(workers, worker);
    if (worker->instance) {
        leave_idle(worker);
        worker->given = true;
        worker_write(workers, worker);
    } else if (worker_is_down(worker)) {
        refuse(worker, PROTOCOL_UNAVAILABLE, WORKER_DOWN_TEXT);
        release(workers, worker);
        return;
    }
    schedule(workers, worker);
}

void worker_give(struct workers *workers, struct worker *worker, struct request *request)
{
    int64_t deadline_ms = request_deadline_ms(request);
    worker->request = request;
    worker->late_ms = deadline_ms == INT64_MAX ? INT64_MAX : deadline_ms + LATE_GRACE_MS;
    worker->given = worker->replied = false;
    worker->written = 0;
    /* A shared one comes from workers_idle(), which has looked whether it has spoken. */
    if (worker->instance && worker->broken)
        lose(workers, worker, worker->broken);
    else if (workers->on_demand && worker->instance && has_spoken(worker))
        worker_read(workers, worker);
    find_copy(workers, worker);
}

void worker_act(struct workers *workers, struct worker *worker)
{
    int64_t now_ms = workers->instances->now_ms;
    if (due_ms(worker, workers) > now_ms) {
        schedule(workers, worker);
    } else if (!worker->instance) {
        if (worker->request)
            find_copy(workers, worker);
        else
            worker_start(workers, worker);
    } else if (worker->broken && worker->broken_ms <= now_ms) {
        lose(workers, worker, worker->broken);
    } else {
        if (!worker->replied && !request_is_over(worker->request))
            request_refuse(worker->request, PROTOCOL_HANDLER_TIMEOUT,
                           "the handler has not answered in time");
        worker->replied = true;
        lose(workers, worker, "the program has not answered in time");
    }
}

void worker_fini(struct workers *workers, struct worker *worker)
{
    leave_idle(worker);
    if (worker->instance)
        instance_end(workers->instances, worker->instance, true);
    if (worker->request)
        request_release(worker->request);
    buffer_fini(&worker->answer);
}
