/* errands: ask, wait, hand out. */
#include "server/errands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/engine/executor.h"
#include "server/engine/monitor.h"
#include "server/handler.h"
#include "server/log/log.h"
#include "server/net/admission.h"

/* This long after its deadline, a request whose answer is on its way is looked at again. */
enum { ANSWER_SOON_MS = 100 };

static struct errands *errands_of(const struct request *request)
{
    return (struct errands *) request->loop;
}

/* ---- replies ---- */

static void count(struct errands *errands, uint64_t number, const struct errands_reply *reply)
{
    int code = protocol_error_code(reply->text, reply->size);
    if (code >= 0)
        counter_add(&errands->counters.errors[code], 1);
    log_put(errands->log, LOG_PROCESSED, number, reply->text, reply->size);
}

static void make_error(struct errands *errands, const char *code, const char *text,
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
    make_error(errands, PROTOCOL_HANDLER_FAILED, text, reply);
}

/* What is said for a request that is answered. */
static void make_reply(struct errands *errands, const struct request *request,
                       struct errands_reply *reply)
{
    const char *text = buffer_head(&request->reply);
    size_t size = buffer_size(&request->reply);
    if (request->verdict_code)
        make_error(errands, request->verdict_code, request->verdict_text, reply);
    else if (size == 0 && request->no_memory)
        make_error(errands, PROTOCOL_HANDLER_FAILED, "out of memory", reply);
    else if (size > PROTOCOL_MAX_REPLY)
        make_handler_failed(errands, request, "it is too long", reply);
    else if (protocol_is_unasked(text, size))
        make_handler_failed(errands, request, "its code is the server's alone", reply);
    else
        *reply = (struct errands_reply){text, size, protocol_is_error(text, size)};
}

/* ---- those that wait ---- */

/* Tells the handler of a reply that it may have counted. */
static void report_gone(const struct errands *errands, struct request *request)
{
    struct handler *handler = errands->config.handler;
    if (request->session_data && handler->kind->reply_gone)
        handler->kind->reply_gone(handler, request);
}

/* A holder may still have the request. */
static void let_go(struct errands *errands, struct request *request)
{
    request->context = NULL;
    request_unref_to(request, &errands->spares);
}

static void take_out(struct errands *errands, struct errand *errand)
{
    TAILQ_REMOVE(&errands->waiting, errand, entry);
    errands->count--;
    errands->bytes -= errand->request->size;
}

/* The answer, or a verdict, of one that waits. */
static void hand_out(struct errands *errands, struct errand *errand)
{
    struct request *request = errand->request;
    struct errands_reply reply;
    take_out(errands, errand);
    make_reply(errands, request, &reply);
    count(errands, request->session_number, &reply);
    latency_add(&errands->counters.latency_late, clock_ns(CLOCK_MONOTONIC) - request->begun_ns, 1);
    errands->config.answered(errands->config.context, errand, &reply);
    if (request->verdict_code || request->reply.capacity > HANDLER_SMALL_REPLY)
        report_gone(errands, request);
    let_go(errands, request);
}

/* Answers a request instead of the handler. False: somebody else does. */
static bool overrule(struct request *request, const char *code, const char *text)
{
    if (!request_claim(request))
        return false;
    request->verdict_code = code;
    request->verdict_text = text;
    return true;
}

static void answered(struct request *request)
{
    struct errands *errands = errands_of(request);
    if (request->job.cost != COST_UNKNOWN)
        errands->cost = cost_learn(errands->cost, request->job.cost, 0);
    hand_out(errands, request->context);
}

/* Each waits for itself, and not for calls. */
static void returned(struct request *request) { (void) request; }

static const struct asker errands_asker = {
    .answered = answered,
    .returned = returned,
    .has_room = returned,
};

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
    make_error(errands, code, text, reply);
    count(errands, number, reply);
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
        make_reply(errands, request, reply);
    } else {
        make_error(errands, PROTOCOL_HANDLER_FAILED, "out of memory", reply);
    }
    count(errands, number, reply);
    errands->at_once++;
    return true;
}

bool errands_are_full(const struct errands *errands)
{
    return errands->count > 0 && handler_holds_back(errands->config.handler, errands->session_data);
}

/* ---- what comes of those that wait ---- */

/* If the handler was quicker its answer is on its way through the inbox, or is there, but its call
 * runs on. */
static void end_late(struct errands *errands, struct errand *errand)
{
    struct request *request = errand->request;
    if (overrule(request, PROTOCOL_HANDLER_TIMEOUT, "the handler has not answered in time")) {
        char text[40];
        int size = snprintf(text, sizeof text, "%lld", (long long) errands->config.timeout_ms);
        log_put(errands->log, LOG_HANDLER_TIMEOUT, request->session_number, text, (size_t) size);
        hand_out(errands, errand);
    } else if (request_take_answer(request)) {
        hand_out(errands, errand);
    } else {
        request_postpone(request, ANSWER_SOON_MS);
    }
}

/* Their times began in their order, so the first one's ends first. */
static int64_t first_deadline_ms(const struct errands *errands)
{
    const struct errand *first = TAILQ_FIRST(&errands->waiting);
    return first ? request_deadline_at(first->request, errands->loop.now_ms) : CLOCK_NEVER;
}

static void take_node(struct inbox_node *node)
{
    if (node->kind == INBOX_RETURN)
        request_deliver_return(node);
    else if (node->kind == INBOX_ROOM)
        request_deliver_room(node);
    else
        request_deliver_answer(node);
}

static void open_inbox(struct errands *errands)
{
    for (struct inbox_node *node = loop_take_inbox(&errands->loop), *next; node; node = next) {
        next = node->next;
        take_node(node);
    }
}

void errands_run(struct errands *errands)
{
    struct epoll_event wake;
    struct errand *errand, *next;
    (void) !epoll_wait(errands->loop.epoll_fd, &wake, 1, 0);
    open_inbox(errands);
    if (first_deadline_ms(errands) > errands->loop.now_ms)
        return;
    for (errand = TAILQ_FIRST(&errands->waiting); errand; errand = next) {
        next = TAILQ_NEXT(errand, entry);
        if (request_deadline_at(errand->request, errands->loop.now_ms) <= errands->loop.now_ms)
            end_late(errands, errand);
    }
}

int64_t errands_due_ms(const struct errands *errands) { return first_deadline_ms(errands); }

void errands_postpone(struct errands *errands, int64_t ms)
{
    struct errand *errand;
    TAILQ_FOREACH(errand, &errands->waiting, entry)
        request_postpone(errand->request, ms);
}

bool errands_cancel(struct errands *errands, struct errand *errand)
{
    struct request *request = errand->request;
    if (request_was_begun(request) || !request_cancel(request))
        return false;
    take_out(errands, errand);
    report_gone(errands, request);
    let_go(errands, request);
    return true;
}

struct errand *errands_forget(struct errands *errands)
{
    struct errand *errand = TAILQ_FIRST(&errands->waiting);
    if (!errand)
        return NULL;
    struct request *request = errand->request;
    take_out(errands, errand);
    request->context = NULL;
    /* If the handler was quicker its answer comes through the inbox, and is dropped there. */
    if (request_cancel(request))
        request_unref(request);
    return errand;
}

/* ---- the stop ---- */

bool errands_recall(struct errands *errands)
{
    struct handler *handler = errands->config.handler;
    return !handler->kind->recall || handler->kind->recall(handler);
}

static void refuse(struct errands *errands, struct errand *errand)
{
    struct request *request = errand->request;
    bool claimed = overrule(request, PROTOCOL_HANDLER_TIMEOUT, "the server is stopping");
    if (claimed && !request_was_begun(request))
        request->verdict_code = PROTOCOL_BUSY;
    if (claimed || request_take_answer(request))
        hand_out(errands, errand);
}

void errands_refuse_all(struct errands *errands)
{
    struct errand *errand, *next;
    open_inbox(errands);
    for (errand = TAILQ_FIRST(&errands->waiting); errand; errand = next) {
        next = TAILQ_NEXT(errand, entry);
        refuse(errands, errand);
    }
}

/* ---- life ---- */

void errands_begin_batch(struct errands *errands)
{
    struct loop *loop = &errands->loop;
    loop->batch_ns = clock_ns(CLOCK_MONOTONIC);
    loop->now_ms = loop->batch_ns / 1000000;
    counter_add(&errands->counters.batches, 1);
}

void errands_end_batch(struct errands *errands)
{
    if (errands->at_once > 0)
        latency_add(&errands->counters.latency_at_once,
                    clock_ns(CLOCK_MONOTONIC) - errands->loop.batch_ns, errands->at_once);
    errands->at_once = 0;
    log_nudge(errands->log);
}

int errands_fd(const struct errands *errands) { return errands->loop.epoll_fd; }

static bool begin_handler_data(struct errands *errands)
{
    struct handler *handler = errands->config.handler;
    struct peer_text peer = {0};
    if (!handler->kind->session_begun)
        return true;
    snprintf(peer.address, sizeof peer.address, "%s", errands->config.origin);
    errands->session_data = handler->kind->session_begun(handler, 0, &peer);
    return errands->session_data;
}

bool errands_init(struct errands *errands, const struct errands_config *config)
{
    errands->config = *config;
    TAILQ_INIT(&errands->waiting);
    STAILQ_INIT(&errands->spares.queue);
    if (!loop_init(&errands->loop))
        return false;
    errno = ENOMEM;
    errands->log = log_ring_new(config->log);
    return (errands->log || !config->log) && begin_handler_data(errands);
}

void errands_end_session(struct errands *errands)
{
    struct handler *handler = errands->config.handler;
    if (errands->session_data && handler->kind->session_ended)
        handler->kind->session_ended(handler, errands->session_data);
    errands->session_data = NULL;
}

static void discard_inbox(struct errands *errands)
{
    for (struct inbox_node *node = inbox_take_all(&errands->loop.inbox), *next; node; node = next) {
        next = node->next;
        request_discard(node);
    }
}

void errands_fini(struct errands *errands)
{
    discard_inbox(errands);
    request_free(errands->called);
    request_spares_fini(&errands->spares);
    log_ring_free(errands->log);
    loop_fini(&errands->loop);
}
