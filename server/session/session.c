/* session: life, turns, and what a session waits for. */
#include "server/session/session.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/protocol.h"
#include "server/session/arrival.h"
#include "server/engine/crew.h"
#include "server/session/deadlines.h"
#include "server/engine/handover.h"
#include "server/session/intake.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/session/replies.h"
#include "server/request_owner.h"
#include "server/server.h"

/* ---- life ---- */

void session_free(struct session *session)
{
    struct loop *loop = session_loop(session);
    peer_fini(&session->peer, server_address(loop->server, session->listener));
    session_store_put(&loop->sessions, session);
}

struct session_work *session_work(struct session *session)
{
    if (!session->work) {
        session->work = session_store_lend(&session_loop(session)->sessions);
        if (session->work) {
            session->work->session = session;
            session->work->partial_deadline_ms = TIMERS_NEVER;
        } else {
            session_break(session, "out of memory");
        }
    }
    return session->work;
}

static void return_work(struct session *session)
{
    struct session_work *work = session->work;
    if (!work)
        return;
    session->work = NULL;
    loop_forget_again(session_loop(session), work);
    buffer_fini(&work->input);
    buffer_fini(&work->output);
    session_store_return(&session_loop(session)->sessions, work);
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
    timers_disarm(&loop->timers, &session->timer);
    session->closed = true;
    session->next_dead = loop->dead;
    loop->dead = session;
}

void session_close(struct session *session)
{
    struct loop *loop = session_loop(session);
    uncount(session);
    replies_cancel(session);
    return_work(session);
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
    return_work(session);
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
    bool in = session->watches_in || session->closing || intake_wants_bytes(session);
    bool out = replies_unsent(session);
    if (in != session->watches_in || out != session->watches_out)
        watch(session, in, out);
}

bool session_is_idle(const struct session *session)
{
    const struct session_work *work = session->work;
    return !work ||
           (!work->first && buffer_size(&work->output) == 0 && !session->unparsed &&
            !frame_is_partial(&work->decoder, buffer_size(&work->input)) && work->drain_left == 0);
}

static bool can_go_on(const struct session *session)
{
    if (replies_unsent(session))
        return false;
    bool more_input =
        session->unparsed || (!session->eof && session->work && session->work->drain_left > 0);
    return replies_deliverable(session) || (more_input && intake_open(session));
}

/* The end of every turn: works out from the session's state how it goes on. */
static void settle(struct session *session)
{
    if (session->broken) {
        session_close(session);
        return;
    }
    if (session->input_over && !session->closing && !replies_pending(session) &&
        !replies_unsent(session)) {
        begin_close(session);
        if (session->closed)
            return;
    }
    if (!session->closing) {
        deadlines_update_partial(session);
        if (session_is_idle(session))
            return_work(session);
        else if (can_go_on(session))
            loop_run_again(session_loop(session), session->work);
    }
    update_interest(session);
    deadlines_arm(session);
}

void session_begin(struct session *session, bool is_new, struct turn *turn)
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
        replies_unasked(session, turn, PROTOCOL_BUSY, REPLIES_BUSY_TEXT);
        replies_send(session, turn);
    }
    settle(session);
}

/* ---- turns ---- */

/* Throws away what comes while the close is under way. */
static void linger(struct session *session, struct turn *turn)
{
    enum { SCRAP_BYTES = 64 << 10 };
    ssize_t got = -1;
    errno = ENOMEM;
    if (buffer_reserve(&turn->input, SCRAP_BYTES))
        got = recv(session->fd, buffer_tail(&turn->input), SCRAP_BYTES, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        session_close(session);
}

bool session_turn(struct session *session, struct crew_thread *thread, bool readable)
{
    struct turn *turn = crew_turn(thread);
    if (session->closing) {
        linger(session, turn);
        return true;
    }
    turn->session = session;
    turn->begun_ms = watcher_ms(session_loop(session)->watcher);
    session->since_ms = (uint64_t) session_loop(session)->now_ms;
    if (replies_unsent(session))
        replies_flush(session);
    if (!replies_unsent(session)) {
        replies_deliver(session, turn);
        if (!intake_run(session, thread, readable))
            return false;
        replies_send(session, turn);
    }
    settle(session);
    arrival_go_home(session);
    return true;
}

bool session_event(struct session *session, struct crew_thread *thread, uint32_t events)
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
    if ((events & EPOLLIN) && !session->closing && !intake_wants_bytes(session) &&
        !can_go_on(session)) {
        watch(session, false, session->watches_out);
        events &= ~(uint32_t) EPOLLIN;
        if (!(events & EPOLLOUT))
            return true;
    }
    return session_turn(session, thread, events & EPOLLIN);
}

void session_answered(struct session *session, enum pace pace)
{
    if (pace != PACE_UNKNOWN)
        session->pace = pace;
    if (can_go_on(session))
        loop_run_again(session_loop(session), session->work);
}

void session_returned(struct session *session)
{
    session->work->stalled = NULL;
    session_resume(session);
}

void session_resume(struct session *session)
{
    if (session->closing)
        return;
    if (can_go_on(session))
        loop_run_again(session_loop(session), session->work);
    update_interest(session);
}

void session_timer(struct session *session, struct turn *turn)
{
    if (!deadlines_pass(session, turn))
        return;
    if (!replies_unsent(session)) {
        replies_deliver(session, turn);
        replies_send(session, turn);
    }
    settle(session);
}

/* ---- the stop ---- */

void session_drain(struct session *session, struct turn *turn)
{
    int readable = 0;
    if (session->closing)
        return;
    session->draining = true;
    if (!session->eof && ioctl(session->fd, FIONREAD, &readable) == 0 && readable > 0) {
        if (session_work(session))
            session->work->drain_left = (uint32_t) readable;
    } else if (!session->unparsed && !session->input_over) {
        intake_end(session, turn, NULL);
    }
    settle(session);
}

void session_refuse(struct session *session)
{
    if (session->closing || !session->work)
        return;
    for (struct request *request = session->work->first; request; request = request->next)
        if (!request->ready)
            replies_overrule(request, PROTOCOL_STOPPING, REPLIES_STOPPING_TEXT);
    loop_run_again(session_loop(session), session->work);
}

/* ---- the hand-over ---- */

void session_adopt(struct turn *from)
{
    struct session *session = from->session;
    struct request *request = from->request;
    if (!buffer_append(&session->work->input, buffer_head(from->reading),
                       buffer_size(from->reading)))
        session_break(session, "out of memory");
    session->unparsed = true;
    replies_send(session, from);
    request->pace = session->pace;
    request->stint = from->stall;
    session->pace = from->stall.has_waited ? PACE_SLEEPS : PACE_DOUBTED; /* until it is measured */
    replies_queue_late(session, request);
    session->work->stalled = request;
    settle(session);
}
