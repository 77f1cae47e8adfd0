/* errands_wait: those that wait, what comes of them, and the end. */
#include "server/errands_state.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/handler.h"
#include "server/log/log.h"

/* This long after its deadline, a request whose answer is on its way is looked at again. */
enum { ANSWER_SOON_MS = 100 };

static struct errands *errands_of(const struct request *request)
{
    return (struct errands *) request->loop;
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
    errands_make_reply(errands, request, &reply);
    errands_count(errands, request->session_number, &reply);
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

const struct asker errands_asker = {
    .answered = answered,
    .returned = returned,
    .has_room = returned,
};

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
