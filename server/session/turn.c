/* turn: turns, and what a session waits for. */
#include "server/session/turn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/protocol.h"
#include "server/engine/monitor.h"
#include "server/log/log.h"
#include "server/net/admission.h"
#include "server/session/close.h"
#include "server/session/deadlines.h"
#include "server/session/dispatch.h"
#include "server/session/input.h"
#include "server/session/output.h"
#include "server/session/pipes.h"
#include "server/session/relay.h"
#include "server/session/session.h"
#include "server/session/shard.h"
#include "server/session/socket.h"
#include "server/session/transfer.h"
#include "server/stream.h"

/* This long after its deadline, a request whose answer is on its way is looked at again. */
enum { ANSWER_SOON_MS = 100 };

/* ---- what a session waits for ---- */

/* The session might wait for good; now its end is reported. */
static __attribute__((cold, noinline)) void give_up(struct session *session)
{
    session_break(session, strerror(errno));
    socket_cut(session);
}

static void watch(struct session *session, bool in, bool out)
{
    uint32_t events = (in ? EPOLLIN : 0) | (out ? EPOLLOUT : 0);
    if (!loop_watch(&session_shard(session)->loop, EPOLL_CTL_MOD, session->fd, events, LOOP_SESSION,
                    session)) {
        give_up(session);
        return;
    }
    session->watches_in = in;
    session->watches_out = out;
}

static void update_interest(struct session *session)
{
    /* epoll learns that reading is not wanted only when something does come (turn_event()): most
     * often it is wanted again before that. */
    bool in = session->watches_in || session->closing || input_wants_bytes(session);
    bool out = output_unsent(session);
    if (in != session->watches_in || out != session->watches_out)
        watch(session, in, out);
}

/* Whether the session has something to do without an event. */
static bool can_go_on(const struct session *session)
{
    if (output_unsent(session) && !session->active->unsent_allowed)
        return false;
    bool more_input =
        session->unparsed || (!session->eof && session->active && session->active->drain_left > 0);
    return output_deliverable(session) || (more_input && input_open(session)) ||
           (socket_holds(session) && input_wants_bytes(session));
}

static void go_on(struct session *session)
{
    if (can_go_on(session))
        loop_ready(&session_shard(session)->loop, &session->active->ready);
}

/* All that was owed is on its way. Returns whether the session is closed at once. */
static __attribute__((noinline)) bool finish(struct session *session)
{
    if (session->draining)
        output_tell_stop(session);
    bool is_said = !session->broken && !output_unsent(session) && output_end(session);
    if (session->broken)
        close_now(session);
    else if (is_said)
        close_in_order(session);
    return session->closed;
}

/* The end of every turn: works out from the session's state how it goes on. */
static void rearm(struct session *session)
{
    if (session_is_relay(session))
        relay_go_on(session);
    if (session->broken) {
        close_now(session);
        return;
    }
    if (session->input_over && !session->closing && !output_pending(session) &&
        !session_is_relay(session) && finish(session))
        return;
    if (!session->closing) {
        if (session_is_idle(session) && !session_is_relay(session))
            session_deactivate(session);
        if (session->active) {
            session_count_held(session);
            deadlines_update_partial(session);
            go_on(session);
        }
    }
    update_interest(session);
    deadlines_arm(session);
}

/* ---- turns that may call the handler ---- */

static bool run(struct session *session, struct scratch *scratch, bool readable)
{
    struct shard *shard = session_shard(session);
    if (session->closing) {
        close_linger(session, scratch);
        return true;
    }
    scratch->session = session;
    scratch->begun_ms = monitor_clock_ms(shard->shared->monitor);
    session->since_ms = (uint64_t) shard->loop.now_ms;
    bool stuck = output_unsent(session) && !output_flush(session);
    if (!stuck || session->active->unsent_allowed) {
        output_deliver(session, scratch);
        if (!input_run(session, scratch, readable))
            return false;
        if (stuck)
            output_keep(session, scratch);
        else
            output_send(session, scratch);
    }
    scratch->session = NULL;
    rearm(session);
    transfer_if_reassigned(session);
    return true;
}

bool turn_ready(struct session *session, struct scratch *scratch)
{
    if (session_is_relay(session))
        relay_read_rest(session, scratch);
    return run(session, scratch, false);
}

/* An idle session is not read, since memory is out. */
static __attribute__((noinline)) void wait_for_memory(struct session *session)
{
    if (!memory_wait(session_shard(session)->shared->memory, MEMORY_OUT))
        update_interest(session);
}

bool turn_event(struct session *session, struct scratch *scratch, uint32_t events)
{
    if (session->closed)
        return true; /* earlier in this batch */
    /* Nobody is there to read a reply any more. What a Unix socket's peer wrote before it left is
     * still read. */
    bool unread = (events & EPOLLIN) && !(events & EPOLLERR);
    if ((events & (EPOLLERR | EPOLLHUP)) && !unread) {
        close_now(session);
        return true;
    }
    if ((events & EPOLLIN) && !session->closing && !input_wants_bytes(session) &&
        !can_go_on(session)) {
        watch(session, false, session->watches_out);
        if (session->broken) {
            close_now(session);
            return true;
        }
        if (!session->active)
            wait_for_memory(session);
        events &= ~(uint32_t) EPOLLIN;
        if (!(events & EPOLLOUT))
            return true;
    }
    return run(session, scratch, events & EPOLLIN);
}

void turn_pipes_event(struct session *session, struct scratch *scratch, uint32_t events)
{
    /* It may have ended earlier in this batch. A relay calls no handler, and so keeps its loop. */
    if (!session->closed && session_is_relay(session) && relay_event(session, scratch, events))
        run(session, scratch, false);
}

/* ---- beginnings and deadlines ---- */

/* False: it could not be watched, and is closed. */
static bool begin(struct session *session, bool is_new)
{
    struct loop *loop = &session_shard(session)->loop;
    if (!loop_watch(loop, EPOLL_CTL_ADD, session->fd, EPOLLIN, LOOP_SESSION, session)) {
        session_break(session, strerror(errno));
        close_now(session);
        return false;
    }
    session->watches_in = true;
    if (!is_new)
        return true;
    session_log_peer(session, LOG_CONNECTED);
    if (session_shard(session)->shared->settings.config.telnet)
        socket_keep_urgent(session);
    return true;
}

void turn_begin(struct session *session, bool is_new)
{
    if (!begin(session, is_new))
        return;
    if (socket_holds(session)) /* its first request came with the end of the handshake */
        session_activate(session);
    rearm(session);
}

void turn_begin_refused(struct session *session, const struct admission_words *words,
                        struct scratch *scratch)
{
    if (!begin(session, true))
        return;
    session->input_over = true;
    output_unasked(session, scratch, words->code, words->text);
    output_send(session, scratch);
    rearm(session);
}

void turn_begin_relay(struct session *session)
{
    bool begun = relay_begin(session);
    turn_begin(session, true);
    if (begun || session->closed)
        return;
    session_break(session, "out of memory");
    rearm(session);
}

static void log_timeout(struct session *session, enum log_event event, int64_t ms)
{
    char text[40];
    int size = snprintf(text, sizeof text, "%lld", (long long) ms);
    log_put(session_shard(session)->log, event, session->number, text, (size_t) size);
}

/* epoll reports room only when there is much of it, so a reader that is merely slow may not have
 * been seen: it is tried once more. False: the session is closed. */
static bool end_write(struct session *session)
{
    if (output_flush(session) || !deadlines_write_is_over(session))
        return true;
    const struct shard *shard = session_shard(session);
    log_timeout(session, LOG_WRITE_TIMEOUT, shard->shared->settings.config.write_timeout_ms);
    close_now(session);
    return false;
}

/* Without a word: a client could take one for the answer to its next request. */
static void end_idle(struct session *session)
{
    const struct shard *shard = session_shard(session);
    log_timeout(session, LOG_IDLE, shard->shared->settings.config.idle_timeout_ms);
    session->input_over = true;
}

static void overrule_late(struct session *session)
{
    const struct shard *shard = session_shard(session);
    struct request *request;
    STAILQ_FOREACH(request, &session->active->requests, entry) {
        if (request->ready ||
            request_deadline_at(request, shard->loop.now_ms) > shard->loop.looked_ms)
            continue;
        /* If the handler was quicker, its answer is on its way through the inbox, or is there, but
         * its call runs on. */
        if (output_overrule(request, PROTOCOL_HANDLER_TIMEOUT,
                            "the handler has not answered in time"))
            log_timeout(session, LOG_HANDLER_TIMEOUT,
                        shard->shared->settings.config.handler_timeout_ms);
        else if (request_take_answer(request))
            output_ready(session, request);
        else
            request_postpone(request, ANSWER_SOON_MS);
    }
}

static void end_active(struct session *session, struct scratch *scratch)
{
    session->since_ms = (uint64_t) session_shard(session)->loop.now_ms;
    overrule_late(session);
    if (session->active->partial_deadline_ms <= session_shard(session)->loop.looked_ms)
        input_end(session, scratch, "it did not come in time");
}

/* What is due of a relay, which may be several things. */
static void end_relay_wait(struct session *session, struct scratch *scratch)
{
    enum relay_due due = relay_due(session);
    if (due == RELAY_DUE_WRITE && !end_write(session))
        return;
    if (due == RELAY_DUE_PARTIAL)
        input_end(session, scratch, "it did not come in time");
    if (due == RELAY_DUE_IDLE)
        end_idle(session);
    if (due == RELAY_DUE_IDLE || due == RELAY_DUE_END)
        relay_end(session);
    if (output_unsent(session))
        output_keep(session, scratch);
    else
        output_send(session, scratch);
    rearm(session);
}

void turn_deadline(struct session *session, struct scratch *scratch)
{
    if (session_is_relay(session)) {
        end_relay_wait(session, scratch);
        return;
    }
    switch (deadlines_due(session)) {
    case DUE_NOTHING:
        deadlines_arm(session);
        return;
    case DUE_LINGER:
        close_now(session);
        return;
    case DUE_WRITE:
        if (!end_write(session))
            return;
        if (session->active && !session_is_idle(session))
            end_active(session, scratch);
        break;
    case DUE_IDLE:
        end_idle(session);
        break;
    case DUE_ACTIVE:
        end_active(session, scratch);
        break;
    }
    if (!output_unsent(session)) {
        output_deliver(session, scratch);
        output_send(session, scratch);
    }
    rearm(session);
}

/* ---- what others have to say ---- */

static void answered(struct request *request)
{
    struct session *session = request->context;
    output_ready(session, request);
    session_count_held(session);
    if (request->job.cost != COST_UNKNOWN)
        session->cost = (uint8_t) cost_learn(session->cost, request->job.cost, session->relapses);
    go_on(session);
}

void turn_resume(struct session *session)
{
    if (session->closing)
        return;
    if (session->active) {
        session_count_held(session);
        deadlines_update_partial(session);
    }
    go_on(session);
    update_interest(session);
    deadlines_arm(session);
}

static void returned(struct request *request)
{
    struct session *session = request->context;
    session->active->stalled = NULL;
    turn_resume(session);
}

static void has_room(struct request *request) { turn_resume(request->context); }

/* The program runs, or does not. */
static void started(struct session *session, struct scratch *scratch)
{
    const struct stream *stream = session->pipes->stream;
    if (stream->code) {
        output_error(session, scratch, stream->code, stream->text);
        output_send(session, scratch);
        relay_end(session);
    } else {
        relay_started(session);
    }
}

void turn_stream(struct inbox_node *node, struct scratch *scratch)
{
    struct stream *stream = stream_of_node(node);
    struct session *session = stream->context;
    if (session && node->kind == INBOX_STREAM_STARTED)
        started(session, scratch);
    else if (session)
        pipes_process_ended(session);
    if (session)
        rearm(session);
    stream_release(stream);
}

const struct asker turn_asker = {.answered = answered, .returned = returned, .has_room = has_room};

void turn_adopt(struct pool_thread *from)
{
    struct scratch *scratch = scratch_of(from);
    struct session *session = scratch->session;
    dispatch_adopt(session, scratch, pool_thread_stall(from));
    rearm(session);
}

/* ---- the stop ---- */

void turn_drain(struct session *session, struct scratch *scratch)
{
    if (session->closing)
        return;
    session->draining = session->draining || !session->input_over;
    size_t readable = session->eof ? 0 : socket_readable(session);
    if (readable > 0) {
        if (session_activate(session))
            session->active->drain_left = (uint32_t) readable;
    } else if (!session->unparsed && !session->input_over) {
        input_end(session, scratch, NULL);
    }
    if (session_is_relay(session))
        relay_drain(session);
    rearm(session);
}

void turn_refuse(struct session *session)
{
    if (session->closing || !session->active)
        return;
    if (session_is_relay(session)) {
        relay_end(session);
    } else if (output_refuse(session) || !session->input_over) {
        session->input_over = true;
        session->unparsed = false;
        session->draining = true;
    }
    rearm(session);
}
