/* session: life, turns, and what a session waits for. */
#include "server/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/protocol.h"
#include "server/balance.h"
#include "server/crew.h"
#include "server/handover.h"
#include "server/intake.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/replies.h"
#include "server/request_engine.h"
#include "server/server.h"

/* ---- life ---- */

struct arrival *arrival_new(int fd, uint64_t number, const struct address *address,
                            uint16_t listener)
{
    struct arrival *arrival = malloc(sizeof *arrival);
    if (!arrival || !peer_init(&arrival->peer, address)) {
        free(arrival);
        return NULL;
    }
    arrival->node.kind = INBOX_ARRIVAL;
    arrival->number = number;
    arrival->fd = fd;
    arrival->listener = listener;
    arrival->has_moved = false;
    return arrival;
}

void arrival_free(struct arrival *arrival, const struct loop *loop)
{
    close(arrival->fd);
    peer_fini(&arrival->peer, server_address(loop->server, arrival->listener));
    free(arrival);
}

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

void session_close(struct session *session)
{
    struct loop *loop = session_loop(session);
    uncount(session);
    replies_cancel(session);
    return_work(session);
    /* Explicitly, since a forked child may still have a copy of the socket. */
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, session->fd, NULL);
    close(session->fd);
    if (!session->number)
        server_refused_left(loop->server);
    timers_disarm(&loop->timers, &session->timer);
    struct handler *handler = loop->settings->handler;
    if (session->handler_data)
        handler->kind->session_ended(handler, session->handler_data);
    log_peer(session, LOG_CLOSED);
    session->closed = true;
    session->next_dead = loop->dead;
    loop->dead = session;
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

/* A half received request's time runs while the server reads, and stands still while it does
 * not. */
static void update_partial_clock(struct session *session)
{
    struct session_work *work = session->work;
    int64_t timeout = session_loop(session)->settings->request_timeout_ms;
    if (!work)
        return;
    bool partial = timeout && !session->unparsed && !session->input_over && !session->draining &&
                   frame_is_partial(&work->decoder, buffer_size(&work->input));
    if (!partial) {
        work->partial_deadline_ms = TIMERS_NEVER;
        work->partial_left_ms = 0;
        return;
    }
    int64_t now = session_loop(session)->now_ms;
    bool reads = intake_wants_bytes(session);
    if (work->partial_left_ms == 0) {
        work->partial_left_ms = timeout;
        work->partial_deadline_ms = TIMERS_NEVER;
    }
    if (reads && work->partial_deadline_ms == TIMERS_NEVER) {
        work->partial_deadline_ms = now + work->partial_left_ms;
    } else if (!reads && work->partial_deadline_ms != TIMERS_NEVER) {
        int64_t rest = work->partial_deadline_ms - now;
        work->partial_left_ms = rest > 0 ? rest : 1;
        work->partial_deadline_ms = TIMERS_NEVER;
    }
}

/* Whether nothing is owed, unsent, half received or still to be looked at. */
static bool is_idle(const struct session *session)
{
    const struct session_work *work = session->work;
    return !work ||
           (!work->first && buffer_size(&work->output) == 0 && !session->unparsed &&
            !frame_is_partial(&work->decoder, buffer_size(&work->input)) && work->drain_left == 0);
}

static int64_t handler_deadline(const struct session *session)
{
    /* The requests' times began in their order, so the first one that is not ready ends first. */
    for (const struct request *request = session->work->first; request; request = request->next)
        if (!request->ready)
            return request->deadline_ms;
    return TIMERS_NEVER;
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t deadline(const struct session *session)
{
    const struct settings *settings = session_loop(session)->settings;
    if (session->closing)
        return (int64_t) session->since_ms + SESSION_LINGER_MS;
    if (is_idle(session))
        return settings->idle_timeout_ms ? (int64_t) session->since_ms + settings->idle_timeout_ms
                                         : TIMERS_NEVER;
    int64_t at = earlier(session->work->partial_deadline_ms, handler_deadline(session));
    return replies_unsent(session) ? earlier(at, session->work->write_deadline_ms) : at;
}

/* A timer that goes off too early finds nothing due and is armed anew; so a deadline that moves
 * away, as it does with each request, costs nothing. */
static void update_timer(struct session *session)
{
    int64_t at = deadline(session);
    if (at < timers_due(&session_loop(session)->timers, &session->timer))
        timers_arm(&session_loop(session)->timers, &session->timer, at);
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
        update_partial_clock(session);
        if (is_idle(session))
            return_work(session);
        else if (can_go_on(session))
            loop_run_again(session_loop(session), session->work);
    }
    update_interest(session);
    update_timer(session);
}

/* ---- from loop to loop ---- */

/* Whether nothing holds the session here: what a handler keeps of it may know its loop, and one that
 * is about to end need not move. */
static bool can_move(const struct session *session)
{
    return session->number && !session->work && !session->handler_data && !session->closed &&
           !session->closing && !session->input_over && !session->draining;
}

/* Its socket and its state go to another loop, and nothing is left but memory to be freed. What the
 * client sends meanwhile waits in the socket. */
static void move(struct session *session, struct loop *to)
{
    struct loop *loop = session_loop(session);
    struct arrival *arrival = malloc(sizeof *arrival);
    if (!arrival || !balance_begin_move(loop->balance)) {
        free(arrival); /* it is well where it is */
        return;
    }
    *arrival = (struct arrival){
        .node.kind = INBOX_ARRIVAL,
        .number = session->number,
        .peer = session->peer,
        .fd = session->fd,
        .listener = session->listener,
        .has_moved = true,
        .pace = session->pace,
        .since_ms = session->since_ms,
    };
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, session->fd, NULL);
    timers_disarm(&loop->timers, &session->timer);
    session->peer = (struct peer){0};
    session->closed = true;
    session->next_dead = loop->dead;
    loop->dead = session;
    log_nudge(loop->log); /* what was logged of it comes before what the other loop will log */
    loop_post(to, &arrival->node);
    balance_end_move(loop->balance);
}

static void go_home(struct session *session)
{
    struct balance *balance = session_loop(session)->balance;
    struct loop *home = &balance->loops[balance_home(balance, session->number)];
    if (home != session_loop(session) && can_move(session))
        move(session, home);
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
    turn->tick = watcher_tick(session_loop(session)->watcher);
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
    go_home(session);
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

/* Memory is out: it ends before it has begun. */
static void turn_away(struct arrival *arrival, struct loop *loop)
{
    static const char why[] = "out of memory";
    log_put(loop->log, LOG_BROKEN, arrival->number, why, sizeof why - 1);
    if (arrival->number)
        server_client_left(loop->server);
    else
        server_refused_left(loop->server);
    arrival_free(arrival, loop);
}

void session_begin(struct arrival *arrival, struct loop *loop, struct turn *turn)
{
    struct session *session = session_store_take(&loop->sessions, loop);
    if (!session || !timers_reserve(&loop->timers, loop->sessions.count)) {
        if (session)
            session_store_put(&loop->sessions, session);
        turn_away(arrival, loop);
        return;
    }
    session->fd = arrival->fd;
    session->number = arrival->number;
    session->counted = arrival->number != 0;
    session->peer = arrival->peer;
    session->listener = arrival->listener;
    session->since_ms = (uint64_t) loop->now_ms;
    const bool has_moved = arrival->has_moved;
    if (has_moved) {
        session->pace = arrival->pace;
        session->since_ms = arrival->since_ms;
        log_nudge(loop->log); /* behind what the other loop has logged of it */
    }
    free(arrival);

    struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, session->fd, &event) != 0) {
        session_break(session, strerror(errno));
        session_close(session);
        return;
    }
    session->watches_in = true;
    if (!has_moved)
        log_peer(session, LOG_CONNECTED);
    if (!session->number) {
        session->input_over = true;
        replies_unasked(session, turn, PROTOCOL_BUSY, REPLIES_BUSY_TEXT);
        replies_send(session, turn);
    }
    settle(session);
}

/* ---- time-outs ---- */

static void log_timeout(struct session *session, enum log_event event, int64_t ms)
{
    char text[40];
    int size = snprintf(text, sizeof text, "%lld ms", (long long) ms);
    log_put(session_loop(session)->log, event, session->number, text, (size_t) size);
}

static void overrule_late(struct session *session)
{
    const struct settings *settings = session_loop(session)->settings;
    for (struct request *request = session->work->first; request; request = request->next) {
        if (request->ready || request->deadline_ms > session_loop(session)->now_ms)
            continue;
        /* Where the handler has just been quicker, its answer is on its way through the inbox. */
        if (replies_overrule(request, PROTOCOL_HANDLER_TIMEOUT,
                             "the handler has not answered in time"))
            log_timeout(session, LOG_HANDLER_TIMEOUT, settings->handler_timeout_ms);
        else
            request->deadline_ms = TIMERS_NEVER;
    }
}

/* epoll reports room only when there is much of it, so a reader that is merely slow may not have
 * been seen. */
static bool write_is_late(struct session *session)
{
    if (!replies_unsent(session) ||
        session->work->write_deadline_ms > session_loop(session)->now_ms)
        return false;
    replies_flush(session);
    return replies_unsent(session) &&
           session->work->write_deadline_ms <= session_loop(session)->now_ms;
}

static void time_out_idle(struct session *session, struct turn *turn)
{
    if (!intake_wants_bytes(session)) {
        /* The handler is full: the client may have asked, and has not been read. */
        session->since_ms = (uint64_t) session_loop(session)->now_ms;
        return;
    }
    log_timeout(session, LOG_IDLE, session_loop(session)->settings->idle_timeout_ms);
    replies_unasked(session, turn, PROTOCOL_IDLE, "nothing was asked for too long");
    session->input_over = true;
}

static void time_out_work(struct session *session, struct turn *turn)
{
    struct session_work *work = session->work;
    overrule_late(session);
    if (work->partial_deadline_ms <= session_loop(session)->now_ms)
        intake_end(session, turn, "it did not come in time");
}

void session_timer(struct session *session, struct turn *turn)
{
    if (deadline(session) > session_loop(session)->now_ms) {
        update_timer(session);
        return;
    }
    if (session->closing) {
        session_close(session);
        return;
    }
    if (write_is_late(session)) {
        log_timeout(session, LOG_WRITE_TIMEOUT, session_loop(session)->settings->write_timeout_ms);
        session_close(session);
        return;
    }
    if (is_idle(session))
        time_out_idle(session, turn);
    else if (session->work)
        time_out_work(session, turn);
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
