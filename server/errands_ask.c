/* errands_ask: how a request is asked, and what is said for it. */
#include "server/errands_state.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "server/engine/executor.h"
#include "server/engine/monitor.h"
#include "server/handler.h"
#include "server/log/log.h"
#include "server/net/admission.h"

/* ---- replies ---- */

void errands_count(struct errands *errands, uint64_t number, const struct errands_reply *reply)
{
    int code = protocol_error_code(reply->text, reply->size);
    if (code >= 0)
        counter_add(&errands->counters.errors[code], 1);
    log_put(errands->log, LOG_PROCESSED, number, reply->text, reply->size);
}

void errands_make_error(struct errands *errands, const char *code, const char *text,
                        struct errands_reply *reply)
{
    size_t size = protocol_write_error(errands->error, sizeof errands->error, code, text);
    *reply = (struct errands_reply){errands->error, size, true};
}

static void make_handler_failed(struct errands *errands, const struct request *request,
                                const char *why, struct errands_reply *reply)
{
    char text[200];
    int size = snprintf(text, sizeof text, "the handler's reply can't be sent: %s", why);
    log_put(errands->log, LOG_HANDLER_FAILED, request->session_number, text, (size_t) size);
    errands_make_error(errands, PROTOCOL_HANDLER_FAILED, text, reply);
}

/* What is said for a request that is answered. */
void errands_make_reply(struct errands *errands, const struct request *request,
                        struct errands_reply *reply)
{
    const char *text = buffer_head(&request->reply);
    size_t size = buffer_size(&request->reply);
    if (request->verdict_code)
        errands_make_error(errands, request->verdict_code, request->verdict_text, reply);
    else if (size == 0 && request->no_memory)
        errands_make_error(errands, PROTOCOL_HANDLER_FAILED, "out of memory", reply);
    else if (size > PROTOCOL_MAX_REPLY)
        make_handler_failed(errands, request, "it is too long", reply);
    else if (protocol_is_unasked(text, size))
        make_handler_failed(errands, request, "its code is the server's alone", reply);
    else
        *reply = (struct errands_reply){text, size, protocol_is_error(text, size)};
}

/* ---- asking ---- */

static int64_t deadline_ms(const struct errands *errands)
{
    int64_t timeout_ms = errands->config.timeout_ms;
    return timeout_ms ? errands->loop.now_ms + timeout_ms : CLOCK_NEVER;
}

/* NULL: out of memory. */
static struct request *prepare(struct errands *errands, struct errand *errand, const char *message,
                               size_t size, uint64_t number)
{
    const struct errands_config *config = &errands->config;
    struct request *request = errands->called;
    if (!request)
        request = request_from(&errands->spares, config->handler, &errands_asker, config->log);
    errands->called = errand->request = request;
    if (!request)
        return NULL;
    request_start(request, &errands->loop, errand, number, message, size);
    request->origin = config->origin;
    request->session_data = errands->session_data;
    request->begun_ns = errands->loop.batch_ns;
    request_set_deadline(request, deadline_ms(errands), errands->loop.now_ms);
    return request;
}

static void put_in(struct errands *errands, struct errand *errand)
{
    errands->called = NULL;
    counter_add(&errands->counters.late, 1);
    TAILQ_INSERT_TAIL(&errands->waiting, errand, entry);
    errands->count++;
    errands->bytes += errand->request->size;
}

/* Gives the request to the executor. False: out of memory, and the request is as it was. */
static bool execute(struct errands *errands, struct errand *errand)
{
    struct request *request = errand->request;
    if (!request_keep_message(request))
        return false;
    request_defer(request);
    request->job.cost = cost_class(errands->cost);
    put_in(errands, errand);
    if (executor_submit(errands->config.executor, &request->job))
        monitor_wake(errands->config.monitor);
    return true;
}

/* Returns whether it was answered in the call. */
static bool call(struct errands *errands, struct errand *errand)
{
    struct request *request = errand->request;
    struct handler *handler = request->handler;
    handler->kind->handle(handler, request);
    enum request_outcome outcome = request_outcome(request);
    if (outcome == REQUEST_FORGOTTEN)
        request_refuse(request, PROTOCOL_HANDLER_FAILED, "the handler has not answered");
    if (outcome != REQUEST_HELD)
        return true;
    put_in(errands, errand);
    if (request_detach(request))
        loop_post(&errands->loop, &request->job.node);
    request_release(request); /* the call's hold */
    return false;
}

/* Whether calls may take long. A handler that has data of sessions answers late, and must not be
 * called in another thread. */
static bool is_for_executor(const struct errands *errands)
{
    const struct handler_kind *kind = errands->config.handler->kind;
    return errands->config.executor && !kind->is_brief && !kind->session_begun;
}

/* Returns the request's number. */
static uint64_t take(struct errands *errands, size_t size)
{
    counter_add(&errands->loop.served, 1);
    counter_add(&errands->counters.received, size);
    return admission_errand(errands->config.admission);
}

void errands_refuse(struct errands *errands, const char *message, size_t size, const char *code,
                    const char *text, struct errands_reply *reply)
{
    uint64_t number = take(errands, size);
    if (strcmp(code, PROTOCOL_TOO_LONG) == 0) {
        char bytes[32];
        int length = snprintf(bytes, sizeof bytes, "%zu", size);
        log_put(errands->log, LOG_TOO_LONG, number, bytes, (size_t) length);
    } else {
        log_put(errands->log, LOG_PROCESSING, number, message, size);
    }
    errands_make_error(errands, code, text, reply);
    errands_count(errands, number, reply);
    errands->at_once++;
}

bool errands_ask(struct errands *errands, struct errand *errand, const char *message, size_t size,
                 struct errands_reply *reply)
{
    uint64_t number = take(errands, size);
    log_put(errands->log, LOG_PROCESSING, number, message, size);
    struct request *request = prepare(errands, errand, message, size, number);
    if (request && is_for_executor(errands) && execute(errands, errand))
        return false;
    if (request && !is_for_executor(errands)) {
        if (!call(errands, errand))
            return false;
        errands_make_reply(errands, request, reply);
    } else {
        errands_make_error(errands, PROTOCOL_HANDLER_FAILED, "out of memory", reply);
    }
    errands_count(errands, number, reply);
    errands->at_once++;
    return true;
}

bool errands_are_full(const struct errands *errands)
{
    return errands->count > 0 && handler_holds_back(errands->config.handler, errands->session_data);
}
