/* dispatch: prepare, choose where it runs, run, see what came of it. */
#include "server/session/dispatch.h"

#include <assert.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/engine/executor.h"
#include "server/engine/monitor.h"
#include "server/handler.h"
#include "server/log/log.h"
#include "server/request_owner.h"
#include "server/session/output.h"
#include "server/session/pipes.h"
#include "server/session/session.h"
#include "server/session/shard.h"

static struct handler *handler_of(const struct shard *shard)
{
    return shard->shared->settings.config.handler;
}

/* ---- in the loop ---- */

/* The session's first request. */
static void begin_handler_data(struct session *session, struct handler *handler)
{
    struct peer_text peer;
    session_describe_peer(session, &peer);
    session->handler_data = handler->kind->session_begun(handler, session->number, &peer);
}

/* Fills in the thread's request. False: the error was sent instead. */
static bool prepare(struct session *session, struct scratch *scratch, const char *message,
                    size_t size)
{
    struct shard *shard = session_shard(session);
    const struct shared *shared = shard->shared;
    struct handler *handler = handler_of(shard);
    struct request *request = scratch->request;
    if (!request && !(request = scratch->request = shard_request(shard))) {
        output_error(session, scratch, PROTOCOL_HANDLER_FAILED, "out of memory");
        return false;
    }
    request_start(request, &shard->loop, session, session->number, message, size);
    request_set_peer(request, &session->peer, session->listener);
    if (!session->handler_data && handler->kind->session_begun)
        begin_handler_data(session, handler);
    request->session_data = session->handler_data;
    int64_t timeout = shared->settings.config.handler_timeout_ms, now_ms = shard->loop.now_ms;
    request_set_deadline(request, timeout ? now_ms + timeout : CLOCK_NEVER, now_ms);
    return true;
}

/* Whether the request is not to be called in the loop: it is likely to take long, or the loop could
 * not go on without the thread. A handler that has data of a session is not called outside of the
 * loop: the session might end meanwhile. Such a handler answers late. */
static bool is_for_executor(const struct session *session, enum loop_calls may_call)
{
    const struct shard *shard = session_shard(session);
    if (!shard->shared->executor || handler_of(shard)->kind->session_begun)
        return false;
    if (may_call == LOOP_CALLS_NONE || session->cost > COST_DOUBTED)
        return true;
    if (session->cost != COST_QUICK && may_call == LOOP_CALLS_KNOWN)
        return true;
    return session->cost == COST_UNKNOWN && shard->loop.now_ms < shard->loop.alarm_until_ms;
}

/* Gives the request to the executor. False: out of memory, and the request is as it was. */
static bool execute(struct session *session, struct scratch *scratch)
{
    const struct shared *shared = session_shard(session)->shared;
    struct request *request = scratch->request;
    if (!request_keep_message(request))
        return false;
    request_defer(request);
    scratch->request = NULL;
    request->job.cost = cost_class(session->cost);
    output_queue(session, request);
    session->active->stalled = request;
    if (executor_submit(shared->executor, &request->job))
        monitor_wake(shared->monitor);
    return true;
}

/* Measuring goes on for as long as it finds what it looks for. */
static void take_measure(struct session *session, const struct call_sample *sample)
{
    session->cost = (uint8_t) call_sample_end(sample, session->cost);
    if (session->cost == COST_QUICK)
        atomic_store_explicit(&session_shard(session)->loop.measures, false, memory_order_relaxed);
}

/* Calls the handler. False: the loop was taken meanwhile. */
static bool call(struct session *session, struct scratch *scratch)
{
    struct request *request = scratch->request;
    struct handler *handler = request->handler;
    struct loop *loop = request->loop;
    struct call_sample sample;
    bool is_measured = atomic_load_explicit(&loop->measures, memory_order_relaxed);
    if (is_measured)
        call_sample_begin(&sample);
    uint64_t number = loop_begin_call(loop);
    handler->kind->handle(handler, request);
    if (!loop_end_call(loop, number))
        return false;
    if (is_measured)
        take_measure(session, &sample);
    else
        session->cost = COST_QUICK;
    return true;
}

/* The handler will answer later, or has answered while others wait before it. */
static void keep_held(struct session *session, struct scratch *scratch)
{
    struct request *request = scratch->request;
    scratch->request = NULL;
    output_queue_late(session, request);
    request_release(request); /* the call's hold */
}

static void take_outcome(struct session *session, struct scratch *scratch)
{
    switch (request_outcome(scratch->request)) {
    case REQUEST_ANSWERED:
        output_answered(session, scratch);
        break;
    case REQUEST_FORGOTTEN: /* but begun */
        request_refuse(scratch->request, PROTOCOL_HANDLER_FAILED, "the handler has not answered");
        output_answered(session, scratch);
        break;
    case REQUEST_HELD:
        keep_held(session, scratch);
        break;
    }
}

bool dispatch(struct session *session, struct scratch *scratch, const char *message, size_t size)
{
    struct shard *shard = session_shard(session);
    /* A turn of this session is under way: whoever takes the loop in the call finds in the scratch
     * what it needs, and nothing that must outlive the call is on this stack. */
    assert(scratch->session == session);
    counter_add(&shard->loop.served, 1);
    if (shard->transcript)
        log_put(shard->transcript, LOG_PROCESSING, session->number, message, size);
    if (session_is_relay(session)) {
        pipes_put(session, scratch, message, size);
        return true;
    }
    if (!prepare(session, scratch, message, size))
        return true;
    if (session->cost == COST_UNKNOWN)
        monitor_expect(shard->shared->monitor);
    enum loop_calls may_call = atomic_load_explicit(&shard->loop.may_call, memory_order_relaxed);
    if ((session->cost != COST_QUICK || may_call != LOOP_CALLS_ALL) &&
        is_for_executor(session, may_call)) {
        if (execute(session, scratch))
            return true;
        if (may_call == LOOP_CALLS_NONE) {
            output_error(session, scratch, PROTOCOL_HANDLER_FAILED, "out of memory");
            return true;
        }
    }
    if (!call(session, scratch))
        return false;
    take_outcome(session, scratch);
    return true;
}

/* ---- the hand-over ---- */

void dispatch_adopt(struct session *session, struct scratch *from, const struct call_sample *stall)
{
    struct request *request = from->request;
    if (!session->input_over) {
        if (!buffer_append(&session->active->input, buffer_head(from->reading),
                           buffer_size(from->reading)))
            session_break(session, "out of memory");
        session->unparsed = true;
    }
    output_send(session, from);
    request_adopt(request);
    request->job.cost = session->cost;
    request->job.sample = *stall;
    output_queue_late(session, request);
    /* Until it is measured; one that was answered before the loop was taken will not be. */
    bool is_doubted_again = request->ready && session->cost == COST_DOUBTED;
    session->cost = stall->has_waited  ? COST_SLEEPS
                    : is_doubted_again ? COST_COMPUTES
                                       : COST_DOUBTED;
    if (session->relapses < COST_MAX_RELAPSES)
        session->relapses++;
    session->active->stalled = request;
}

/* ---- in the executor ---- */

/* Calls the handler, unless nobody waits for the answer any more. */
static void run_job(struct job *job)
{
    struct request *request = (struct request *) job;
    struct handler *handler = request->handler;
    if (request_begin(request)) {
        struct call_sample sample;
        call_sample_begin(&sample);
        handler->kind->handle(handler, request);
        job->cost = call_sample_end(&sample, job->cost);
    }
    if (request_detach(request))
        loop_post(request->loop, &job->node);
    request_returned(request);
}

static void release_job(struct job *job) { request_release((struct request *) job); }

const struct job_ops dispatch_job_ops = {.run = run_job, .release = release_job};
