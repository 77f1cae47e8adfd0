/* session: life, turns, and what a session waits for. */
#include "server/session/session.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/session/transfer.h"
#include "server/engine/pool.h"
#include "server/session/deadlines.h"
#include "server/engine/monitor.h"
#include "server/session/input.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/session/output.h"
#include "server/request_owner.h"
#include "server/server.h"

/* ---- life ---- */

void session_free(struct session *session)
{
    struct loop *loop = session_loop(session);
    peer_fini(&session->peer, server_address(loop->server, session->listener));
    session_store_put(&loop->sessions, session);
}

struct session_active *session_activate(struct session *session)
{
    if (!session->active) {
        session->active = session_store_lend(&session_loop(session)->sessions);
        if (session->active) {
            session->active->session = session;
            session->active->partial_deadline_ms = CLOCK_NEVER;
        } else {
            session_break(session, "out of memory");
        }
    }
    return session->active;
}

static void deactivate(struct session *session)
{
    struct session_active *active = session->active;
    if (!active)
        return;
    session->active = NULL;
    loop_forget_again(session_loop(session), active);
    buffer_fini(&active->input);
    buffer_fini(&active->output);
    session_store_return(&session_loop(session)->sessions, active);
}

/* Before the client can see its session end: when it does, there is room for the next one. */
static void uncount(struct session *session)
{
    if (session->counted)
        server_client_left(session_loop(session)->server);
    session->counted = false;
}

static void log_peer(struct session *session, enum log_event event)
{
    const struct loop *loop = session_loop(session);
    if (!session->number || !loop->log || !log_wants(loop_log(loop), event))
        return;
    char text[ADDRESS_TEXT_SIZE];
    peer_print(&session->peer, server_address(loop->server, session->listener), text);
    log_put(loop->log, event, session->number, text, strlen(text));
}

void session_break(struct session *session, const char *why)
{
    session->broken = true;
    if (why)
        log_put(session_loop(session)->log, LOG_BROKEN, session->number, why, strlen(why));
}

void session_leave(struct session *session)
{
    struct loop *loop = session_loop(session);
    /* Explicitly, since a forked child may still have a copy of the socket. */
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, session->fd, NULL);
    heap_remove(&loop->deadlines, &session->deadline);
    session->closed = true;
    session->next_dead = loop->dead;
    loop->dead = session;
}

void session_close(struct session *session)
{
    struct loop *loop = session_loop(session);
    uncount(session);
    output_cancel(session);
    deactivate(session);
    session_leave(session);
    close(session->fd);
    if (!session->number)
        server_refused_left(loop->server);
    struct handler *handler = loop->settings->handler;
    if (session->handler_data)
        handler->kind->session_ended(handler, session->handler_data);
    log_peer(session, LOG_CLOSED);
}

/* The orderly close: our half is ended, and what still comes is read and thrown away, since
 * closing a socket with unread bytes would reset the connection and destroy replies on their
 * way. */
static void begin_close(struct session *session)
{
    uncount(session);
    deactivate(session);
    if (session->eof || shutdown(session->fd, SHUT_WR) != 0) {
        session_close(session);
        return;
    }
    session->closing = true;
    session->since_ms = (uint64_t) session_loop(session)->now_ms;
}

/* ---- what a session waits for ---- */

static void watch(struct session *session, bool in, bool out)
{
    struct epoll_event event = {
        .events = (in ? EPOLLIN : 0) | (out ? EPOLLOUT : 0),
        .data.ptr = session,
    };
    if (epoll_ctl(session_loop(session)->epoll_fd, EPOLL_CTL_MOD, session->fd, &event) != 0)
        return;
    session->watches_in = in;
    session->watches_out = out;
}

static void update_interest(struct session *session)
{
    /* That reading is not wanted is only told to epoll when something does come
     * (session_event()): most often it is wanted again before that. */
    bool in = session->watches_in || session->closing || input_wants_bytes(session);
    bool out = output_unsent(session);
    if (in != session->watches_in || out != session->watches_out)
        watch(session, in, out);
}

bool session_is_idle(const struct session *session)
{
    const struct session_active *active = session->active;
    return !active ||
           (!active->first && buffer_size(&active->output) == 0 && !session->unparsed &&
            !frame_is_partial(&active->decoder, buffer_size(&active->input)) && active->drain_left == 0);
}

static bool can_go_on(const struct session *session)
{
    if (output_unsent(session))
        return false;
    bool more_input =
        session->unparsed || (!session->eof && session->active && session->active->drain_left > 0);
    return output_deliverable(session) || (more_input && input_open(session));
}

/* The end of every turn: works out from the session's state how it goes on. */
static void settle(struct session *session)
{
    if (session->broken) {
        session_close(session);
        return;
    }
    if (session->input_over && !session->closing && !output_pending(session) &&
        !output_unsent(session)) {
        begin_close(session);
        if (session->closed)
            return;
    }
    if (!session->closing) {
        deadlines_update_partial(session);
        if (session_is_idle(session))
            deactivate(session);
        else if (can_go_on(session))
            loop_run_again(session_loop(session), session->active);
    }
    update_interest(session);
    deadlines_arm(session);
}

void session_begin(struct session *session, bool is_new, struct scratch *scratch)
{
    struct loop *loop = session_loop(session);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, session->fd, &event) != 0) {
        session_break(session, strerror(errno));
        session_close(session);
        return;
    }
    session->watches_in = true;
    if (is_new)
        log_peer(session, LOG_CONNECTED);
    if (!session->number) {
        session->input_over = true;
        output_unasked(session, scratch, PROTOCOL_BUSY, OUTPUT_BUSY_TEXT);
        output_send(session, scratch);
    }
    settle(session);
}

/* ---- turns ---- */

/* Throws away what comes while the close is under way. */
static void linger(struct session *session, struct scratch *scratch)
{
    enum { SCRAP_BYTES = 64 << 10 };
    ssize_t got = -1;
    errno = ENOMEM;
    if (buffer_reserve(&scratch->input, SCRAP_BYTES))
        got = recv(session->fd, buffer_tail(&scratch->input), SCRAP_BYTES, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        session_close(session);
}

bool session_turn(struct session *session, struct pool_thread *thread, bool readable)
{
    struct scratch *scratch = pool_scratch(thread);
    if (session->closing) {
        linger(session, scratch);
        return true;
    }
    scratch->session = session;
    scratch->begun_ms = monitor_clock_ms(session_loop(session)->monitor);
    session->since_ms = (uint64_t) session_loop(session)->now_ms;
    if (output_unsent(session))
        output_flush(session);
    if (!output_unsent(session)) {
        output_deliver(session, scratch);
        if (!input_run(session, thread, readable))
            return false;
        output_send(session, scratch);
    }
    settle(session);
    transfer_if_reassigned(session);
    return true;
}

bool session_event(struct session *session, struct pool_thread *thread, uint32_t events)
{
    if (session->closed)
        return true; /* earlier in this batch */
    /* Nobody is there to read a reply any more. What a Unix socket's peer wrote before it left
     * is still read. */
    bool unread = (events & EPOLLIN) && !(events & EPOLLERR);
    if ((events & (EPOLLERR | EPOLLHUP)) && !unread) {
        session_close(session);
        return true;
    }
    if ((events & EPOLLIN) && !session->closing && !input_wants_bytes(session) &&
        !can_go_on(session)) {
        watch(session, false, session->watches_out);
        events &= ~(uint32_t) EPOLLIN;
        if (!(events & EPOLLOUT))
            return true;
    }
    return session_turn(session, thread, events & EPOLLIN);
}

void session_answered(struct session *session, enum cost cost)
{
    if (cost != COST_UNKNOWN)
        session->cost = cost;
    if (can_go_on(session))
        loop_run_again(session_loop(session), session->active);
}

void session_returned(struct session *session)
{
    session->active->stalled = NULL;
    session_resume(session);
}

void session_resume(struct session *session)
{
    if (session->closing)
        return;
    if (can_go_on(session))
        loop_run_again(session_loop(session), session->active);
    update_interest(session);
}

void session_timer(struct session *session, struct scratch *scratch)
{
    if (!deadlines_pass(session, scratch))
        return;
    if (!output_unsent(session)) {
        output_deliver(session, scratch);
        output_send(session, scratch);
    }
    settle(session);
}

/* ---- the stop ---- */

void session_drain(struct session *session, struct scratch *scratch)
{
    int readable = 0;
    if (session->closing)
        return;
    session->draining = true;
    if (!session->eof && ioctl(session->fd, FIONREAD, &readable) == 0 && readable > 0) {
        if (session_activate(session))
            session->active->drain_left = (uint32_t) readable;
    } else if (!session->unparsed && !session->input_over) {
        input_end(session, scratch, NULL);
    }
    settle(session);
}

void session_refuse(struct session *session)
{
    if (session->closing || !session->active)
        return;
    for (struct request *request = session->active->first; request; request = request->next)
        if (!request->ready)
            output_overrule(request, PROTOCOL_STOPPING, OUTPUT_STOPPING_TEXT);
    loop_run_again(session_loop(session), session->active);
}

/* ---- the hand-over ---- */

void session_adopt(struct scratch *from)
{
    struct session *session = from->session;
    struct request *request = from->request;
    if (!buffer_append(&session->active->input, buffer_head(from->reading),
                       buffer_size(from->reading)))
        session_break(session, "out of memory");
    session->unparsed = true;
    output_send(session, from);
    request->cost = session->cost;
    request->sample = from->stall;
    session->cost = from->stall.has_waited ? COST_SLEEPS : COST_DOUBTED; /* until it is measured */
    output_queue_late(session, request);
    session->active->stalled = request;
    settle(session);
}
