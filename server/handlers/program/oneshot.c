/* oneshot: write, read, end. */
#include "server/handlers/program/oneshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/protocol.h"
#include "server/handlers/program/backoff.h"
#include "server/handlers/program/instance_end.h"
#include "server/handlers/program/patience.h"
#include "server/handlers/program/queue.h"
#include "server/handlers/program/variables.h"
#include "server/log/log.h"
#include "server/request.h"

enum {
    START_MS = 20, /* one that has been silent for so long has started, as far as it counts */
    LAST_BYTES_PTY = 1 << 20, /* of a terminal that others may still be writing to */
};

#define TOO_LONG_TEXT "the program's answer is longer than 16 MiB"

/* ---- starting ---- */

/* It is counted as starting no more. */
static void end_start(struct oneshots *oneshots, struct oneshot *oneshot)
{
    if (oneshot->starts)
        oneshots->starting--;
    oneshot->starts = false;
    score_state(oneshot->score, oneshot->is_spare ? HANDLER_WORKER_WAITS : HANDLER_WORKER_WORKS);
}

void oneshot_end_patience(struct oneshots *oneshots, struct oneshot *oneshot)
{
    end_start(oneshots, oneshot);
    oneshot->patient_until_ms = 0;
    patience_end(oneshot->instance->group.id);
}

/* For a client's request (NULL, both: ahead). NULL: `*failure` is the errno of what failed. */
static struct oneshot *start(struct oneshots *oneshots, const struct request *request,
                             const struct flow *flow, int *failure)
{
    struct instances *instances = oneshots->instances;
    struct spawn_options options = instances->spawn;
    struct variables variables;
    if (request)
        variables_set(&variables, &options, request_session(request), flow->peer);
    struct oneshot *oneshot = calloc(1, sizeof *oneshot);
    *failure = oneshot ? 0 : ENOMEM;
    if (oneshot)
        oneshot->instance = instance_start(instances, ++oneshots->number, &options, failure);
    if (*failure) {
        free(oneshot);
        return NULL;
    }
    oneshot->instance->oneshot = oneshot;
    oneshot->score = scoreboard_take(&instances->scoreboard, oneshots->number);
    score_pid(oneshot->score, oneshot->instance->group.id);
    oneshot->late_ms = CLOCK_NEVER;
    oneshot->unread_fd = -1;
    oneshot->patient_until_ms = instances->now_ms + START_MS;
    oneshot->starts = true;
    oneshots->starting++;
    patience_begin(oneshot->instance->group.id);
    instances_schedule(instances, oneshot->patient_until_ms);
    LIST_INSERT_HEAD(&oneshots->all, oneshot, entry);
    return oneshot;
}

/* ---- spares ---- */

void oneshots_spare_failed(struct oneshots *oneshots)
{
    oneshots->failures++;
    oneshots->spare_ms = oneshots->instances->now_ms + backoff_ms(oneshots->failures);
    scoreboard_replaced(&oneshots->instances->scoreboard, NULL);
}

static void add_spare(struct oneshots *oneshots, struct oneshot *oneshot)
{
    TAILQ_INSERT_TAIL(&oneshots->spares, oneshot, spare_entry);
    oneshots->spare_count++;
    oneshot->is_spare = true;
}

static void remove_spare(struct oneshots *oneshots, struct oneshot *oneshot)
{
    if (!oneshot->is_spare)
        return;
    TAILQ_REMOVE(&oneshots->spares, oneshot, spare_entry);
    oneshots->spare_count--;
    oneshot->is_spare = false;
}

struct oneshot *oneshot_start_ahead(struct oneshots *oneshots, int *failure)
{
    struct oneshot *oneshot = start(oneshots, NULL, NULL, failure);
    if (oneshot)
        add_spare(oneshots, oneshot);
    return oneshot;
}

/* ---- ending ---- */

/* Its instance is somebody else's care by now. */
static void free_oneshot(struct oneshots *oneshots, struct oneshot *oneshot)
{
    remove_spare(oneshots, oneshot);
    descriptor_close(&oneshot->unread_fd);
    end_start(oneshots, oneshot);
    exchange_end(&oneshot->exchange);
    exchange_fini(&oneshot->exchange);
    LIST_REMOVE(oneshot, entry);
    scoreboard_release(&oneshots->instances->scoreboard, oneshot->score);
    free(oneshot);
}

void oneshot_end(struct oneshots *oneshots, struct oneshot *oneshot, bool gently)
{
    instance_end(oneshots->instances, oneshot->instance, gently);
    free_oneshot(oneshots, oneshot);
}

/* Answers with an error, and logs why. */
static void refuse(struct oneshots *oneshots, struct oneshot *oneshot, const char *code,
                   const char *text)
{
    instance_log(oneshots->instances, oneshot->instance, LOG_WORKER_LOST, "has failed", text,
                 strlen(text));
    exchange_refuse(&oneshot->exchange, code, text);
}

void oneshot_refuse_and_end(struct oneshots *oneshots, struct oneshot *oneshot, const char *code,
                            const char *text)
{
    refuse(oneshots, oneshot, code, text);
    oneshot_end(oneshots, oneshot, false);
}

/* ---- the request ---- */

static void watch_input(struct oneshots *oneshots, struct oneshot *oneshot)
{
    if (oneshot->input_watched)
        return;
    oneshot->input_watched = instance_watch_input(oneshots->instances, oneshot->instance, true);
    if (!oneshot->input_watched)
        oneshot_refuse_and_end(oneshots, oneshot, PROTOCOL_HANDLER_FAILED, "out of memory");
}

/* Writes what there is room for. False, with errno set: it can't be written. */
static bool write_request(struct oneshots *oneshots, struct oneshot *oneshot)
{
    const char *end = oneshots->rules.end;
    switch (exchange_write(&oneshot->exchange, oneshot->instance->input.fd, end, strlen(end))) {
    case EXCHANGE_WRITTEN:
        instance_close_input(oneshots->instances, oneshot->instance);
        return true;
    case EXCHANGE_BLOCKED:
        watch_input(oneshots, oneshot);
        return true;
    default:
        return false;
    }
}

void oneshot_write(struct oneshots *oneshots, struct oneshot *oneshot)
{
    if (oneshot->is_spare || write_request(oneshots, oneshot))
        return;
    /* One that does not read all of its request may answer it all the same; but it would take a
     * part that it is given for the whole. */
    if (errno == EPIPE)
        instance_close_input(oneshots->instances, oneshot->instance);
    else
        oneshot_refuse_and_end(oneshots, oneshot, PROTOCOL_HANDLER_FAILED, strerror(errno));
}

static void set_deadline(struct oneshots *oneshots, struct oneshot *oneshot)
{
    oneshot->late_ms = exchange_late_ms(request_deadline_ms(oneshot->exchange.request),
                                        oneshots->instances->paused_ms);
    instances_schedule(oneshots->instances, oneshot->late_ms);
}

bool oneshot_is_late(const struct oneshots *oneshots, struct oneshot *oneshot)
{
    if (oneshot->late_ms > oneshots->instances->looked_ms)
        return false;
    /* The engine may have seen more of a pause. */
    int64_t late_ms = exchange_late_ms(request_deadline_ms(oneshot->exchange.request),
                                       oneshots->instances->paused_ms);
    if (late_ms > oneshot->late_ms)
        oneshot->late_ms = late_ms;
    return oneshot->late_ms <= oneshots->instances->looked_ms;
}

void oneshot_begin(struct oneshots *oneshots, struct request *request, const struct flow *flow)
{
    int failure;
    struct oneshot *oneshot = start(oneshots, request, flow, &failure);
    if (!oneshot) {
        request_refuse(request, PROTOCOL_UNAVAILABLE, "unable to start the program: %s",
                       strerror(failure));
        request_release(request);
        return;
    }
    exchange_begin(&oneshot->exchange, request);
    score_state(oneshot->score, HANDLER_WORKER_WORKS);
    set_deadline(oneshots, oneshot);
    oneshot_write(oneshots, oneshot);
}

/* ---- the request of a spare ---- */

bool oneshot_give(struct oneshots *oneshots, struct oneshot *oneshot, struct request *request,
                  const struct flow *flow)
{
    remove_spare(oneshots, oneshot);
    oneshot->flow = flow;
    oneshot->unread_fd = instance_open_reader(oneshot->instance);
    /* What it may have written already is a part of the answer. */
    oneshot->exchange.request = request;
    score_state(oneshot->score, HANDLER_WORKER_WORKS);
    set_deadline(oneshots, oneshot);
    if (write_request(oneshots, oneshot))
        return true;
    exchange_return(&oneshot->exchange);
    return false;
}

/* Whether the process, which has ended, has left the whole request in its input. */
static bool is_unread(const struct oneshot *oneshot)
{
    int unread = 0;
    return oneshot->unread_fd >= 0 && ioctl(oneshot->unread_fd, FIONREAD, &unread) == 0 &&
           unread > 0 && (size_t) unread >= oneshot->exchange.written;
}

/* Takes the request from one that has ended; NULL: it stays, or nobody waits for it any more. */
static struct request *take_unread(struct oneshots *oneshots, struct oneshot *oneshot)
{
    char how[64];
    if (!is_unread(oneshot) || request_is_over(oneshot->exchange.request))
        return NULL;
    oneshots_spare_failed(oneshots);
    instance_describe_end(oneshot->instance, how, sizeof how);
    instance_log(oneshots->instances, oneshot->instance, LOG_WORKER_LOST,
                 "has not read its request, and is replaced", how, strlen(how));
    return exchange_return(&oneshot->exchange);
}

/* ---- the answer ---- */

/* Reads once. 1: it has taken something; 0: there is nothing; -1: it is too much. */
static int read_some(struct oneshots *oneshots, struct oneshot *oneshot, size_t *size)
{
    static const struct reply_rules all = {.end = REPLY_END_WAITS};
    ssize_t got = instance_read(oneshots->instances, oneshot->instance);
    if (got <= 0)
        return 0;
    *size = (size_t) got;
    end_start(oneshots, oneshot);
    return answer_add(&oneshot->exchange.answer, &all, oneshots->instances->scratch, *size) ? 1
                                                                                            : -1;
}

static void too_long(struct oneshots *oneshots, struct oneshot *oneshot)
{
    if (oneshot->is_spare) {
        oneshots_spare_failed(oneshots);
        oneshot_end(oneshots, oneshot, false);
    } else {
        oneshot_refuse_and_end(oneshots, oneshot, PROTOCOL_HANDLER_FAILED, TOO_LONG_TEXT);
    }
}

void oneshot_read(struct oneshots *oneshots, struct oneshot *oneshot)
{
    size_t size;
    if (read_some(oneshots, oneshot, &size) < 0)
        too_long(oneshots, oneshot);
}

/* What its output holds at its end is the end of its answer: what comes later is from others that
 * hold the output. A terminal does not tell how much it holds. False: it is too much. */
static bool read_rest(struct oneshots *oneshots, struct oneshot *oneshot)
{
    int held = LAST_BYTES_PTY, took = 1;
    size_t size = 0, sum = 0;
    if (!oneshots->instances->spawn.pty)
        ioctl(oneshot->instance->output.fd, FIONREAD, &held);
    while (took > 0 && sum < (size_t) held) {
        took = read_some(oneshots, oneshot, &size);
        sum += size;
    }
    return took >= 0;
}

static void reply(struct oneshots *oneshots, struct oneshot *oneshot)
{
    struct reply_rules rules = {.end = REPLY_END_WAITS, .one_line = oneshots->rules.one_line};
    struct answer_verdict verdict;
    answer_judge(&oneshot->exchange.answer, &rules, TURN_ENDED, &verdict);
    if (verdict.outcome == ANSWER_REPLY)
        exchange_reply(&oneshot->exchange, verdict.text, verdict.size);
    else
        refuse(oneshots, oneshot, PROTOCOL_HANDLER_FAILED, verdict.why);
}

static void refuse_failed(struct oneshots *oneshots, struct oneshot *oneshot)
{
    char how[64], text[400];
    instance_describe_end(oneshot->instance, how, sizeof how);
    int used = snprintf(text, sizeof text, "the program %s", how);
    if (oneshots->instances->spawn.stderr_to_output)
        answer_last_line(&oneshot->exchange.answer, text + used, sizeof text - (size_t) used);
    refuse(oneshots, oneshot, PROTOCOL_HANDLER_FAILED, text);
}

/* What comes of the request of one that has ended. */
static void answer(struct oneshots *oneshots, struct oneshot *oneshot)
{
    bool fits = read_rest(oneshots, oneshot);
    if (oneshot->is_spare)
        oneshots_spare_failed(oneshots);
    else if (!fits)
        refuse(oneshots, oneshot, PROTOCOL_HANDLER_FAILED, TOO_LONG_TEXT);
    else if (oneshot->instance->unreadable)
        refuse(oneshots, oneshot, PROTOCOL_HANDLER_FAILED, "its output can't be read");
    else if (instance_ended_well(oneshot->instance))
        reply(oneshots, oneshot);
    else
        refuse_failed(oneshots, oneshot);
}

void oneshot_exited(struct oneshots *oneshots, struct oneshot *oneshot)
{
    struct instance *instance = oneshot->instance;
    const struct flow *flow = oneshot->flow;
    struct request *unread = take_unread(oneshots, oneshot);
    if (!unread)
        answer(oneshots, oneshot);
    free_oneshot(oneshots, oneshot);
    instance->oneshot = NULL;
    instance_exited(oneshots->instances, instance);
    if (unread)
        oneshot_begin(oneshots, unread, flow);
}
