/* loop: batches of events, and all that is done between two looks at the sockets. */
#include "server/engine/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/net/acceptor.h"
#include "server/session/transfer.h"
#include "server/engine/pool.h"
#include "server/engine/monitor.h"
#include "server/log/log.h"
#include "server/request_owner.h"
#include "server/engine/scheduling.h"
#include "server/session/session.h"

enum {
    BATCH_EVENTS = 256,
    ALARM_MS = 100, /* so long after a call has lost the loop, no newcomer is trusted to be quick */
};

bool loop_init(struct loop *loop, struct server *server, const struct settings *settings)
{
    loop->server = server;
    loop->settings = settings;
    loop->stop_node.kind = INBOX_STOP;
    loop->resume_node.kind = INBOX_RESUME;
    loop->wake_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return false;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* NULL: no session, the inbox */
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (loop->wake_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0)
        return false;
    loop->log = log_ring_new(settings->log);
    loop->transcript = log_wants(settings->log, LOG_PROCESSED) ? loop->log : NULL;
    errno = ENOMEM;
    return loop->log || !settings->log;
}

/* What is left in the inbox when nobody owns the loop any more. */
static void discard(struct loop *loop, struct inbox_node *node)
{
    if (node->kind == INBOX_TRANSFER)
        transfer_free((struct transfer *) node, loop);
    else if (node->kind == INBOX_REQUEST)
        request_unref((struct request *) node);
    else if (node->kind == INBOX_RETURN)
        request_release(request_of_return(node));
}

static void free_dead(struct loop *loop)
{
    while (loop->dead) {
        struct session *session = loop->dead;
        loop->dead = session->next_dead;
        session_free(session);
    }
}

void loop_fini(struct loop *loop)
{
    for (struct inbox_node *node = inbox_take_all(&loop->inbox), *next; node; node = next) {
        next = node->next;
        discard(loop, node);
    }
    free_dead(loop);
    session_store_fini(&loop->sessions);
    heap_fini(&loop->deadlines);
    log_ring_free(loop->log);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
}

void loop_post(struct loop *loop, struct inbox_node *node)
{
    if (inbox_push(&loop->inbox, node))
        eventfd_write(loop->wake_fd, 1);
}

void loop_resume(struct loop *loop)
{
    if (!atomic_exchange(&loop->resume_posted, true))
        loop_post(loop, &loop->resume_node);
}

struct log *loop_log(const struct loop *loop) { return loop->settings->log; }

/* ---- those that run again ---- */

void loop_run_again(struct loop *loop, struct session_active *active)
{
    if (active->queued)
        return;
    active->queued = true;
    active->again_next = NULL;
    active->again_previous = loop->again_last;
    if (loop->again_last)
        loop->again_last->again_next = active;
    else
        loop->again_first = active;
    loop->again_last = active;
}

void loop_forget_again(struct loop *loop, struct session_active *active)
{
    if (!active->queued)
        return;
    active->queued = false;
    if (loop->again_end == active)
        loop->again_end = active->again_previous;
    if (active->again_previous)
        active->again_previous->again_next = active->again_next;
    else
        loop->again_first = active->again_next;
    if (active->again_next)
        active->again_next->again_previous = active->again_previous;
    else
        loop->again_last = active->again_previous;
}

/* ---- the stop ---- */

static void for_each_session(struct loop *loop, void (*act)(struct session *))
{
    size_t place = 0;
    for (struct session *session; (session = session_store_next(&loop->sessions, &place));)
        act(session);
}

static void begin_drain(struct loop *loop, struct scratch *scratch)
{
    int64_t timeout = loop->settings->drain_timeout_ms;
    loop->draining = true;
    loop->drain_deadline_ms = timeout ? loop->now_ms + timeout : CLOCK_NEVER;
    size_t place = 0;
    for (struct session *session; (session = session_store_next(&loop->sessions, &place));)
        session_drain(session, scratch);
}

/* First what is owed is refused; who can't take even that is closed a linger's time later. */
static void end_drain(struct loop *loop)
{
    if (loop->refusing) {
        for_each_session(loop, session_close);
        loop->drain_deadline_ms = CLOCK_NEVER;
        return;
    }
    loop->refusing = true;
    loop->drain_deadline_ms = loop->now_ms + SESSION_LINGER_MS;
    for_each_session(loop, session_refuse);
}

/* ---- batches ---- */

static void take_answer(struct request *request)
{
    request->ready = true;
    if (request->session)
        session_answered(request->session, request->cost);
    else
        request_unref(request);
}

static void take_return(struct request *request)
{
    if (request->session)
        session_returned(request->session);
    request_release(request);
}

/* Calls no handler, so the loop can't be taken in the middle of it: a list of its own may be on
 * the stack. */
static void open_inbox(struct loop *loop, struct scratch *scratch)
{
    eventfd_t count;
    eventfd_read(loop->wake_fd, &count);
    for (struct inbox_node *node = inbox_take_all(&loop->inbox), *next; node; node = next) {
        next = node->next;
        if (node->kind == INBOX_TRANSFER) {
            transfer_end((struct transfer *) node, loop, scratch);
        } else if (node->kind == INBOX_STOP) {
            begin_drain(loop, scratch);
        } else if (node->kind == INBOX_RESUME) {
            atomic_store(&loop->resume_posted, false);
            for_each_session(loop, session_resume);
        } else if (node->kind == INBOX_RETURN) {
            take_return(request_of_return(node));
        } else {
            take_answer((struct request *) node);
        }
    }
}

/* Calls no handler either; nor does an acceptor. */
static void run_timers(struct loop *loop, struct scratch *scratch)
{
    struct heap_item *item;
    while ((item = heap_take(&loop->deadlines, loop->now_ms))) {
        struct session *session =
            (struct session *) ((char *) item - offsetof(struct session, deadline));
        session_timer(session, scratch);
    }
    if (loop->draining && loop->drain_deadline_ms <= loop->now_ms)
        end_drain(loop);
    if (acceptor_rests_until(loop->acceptor) <= loop->now_ms)
        acceptor_wake(loop->acceptor);
}

/* Those that were queued when it begins; who is queued again meanwhile waits until the sockets
 * were looked at. */
static bool run_again(struct loop *loop, struct pool_thread *thread)
{
    loop->again_end = loop->again_last;
    while (loop->again_end) {
        struct session_active *active = loop->again_first;
        loop_forget_again(loop, active);
        if (!session_turn(active->session, thread, false))
            return false;
    }
    return true;
}

static bool run_batch(struct loop *loop, struct pool_thread *thread,
                      const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        void *reported = events[i].data.ptr;
        if (!reported)
            open_inbox(loop, pool_scratch(thread));
        else if (acceptor_listens(loop->acceptor, reported))
            acceptor_event(loop->acceptor, reported, loop, pool_scratch(thread));
        else if (!session_event(reported, thread, events[i].events))
            return false;
    }
    run_timers(loop, pool_scratch(thread));
    return run_again(loop, thread);
}

static int wait_ms(const struct loop *loop)
{
    if (loop->again_first)
        return 0;
    int64_t at = heap_first_key(&loop->deadlines);
    if (acceptor_rests_until(loop->acceptor) < at)
        at = acceptor_rests_until(loop->acceptor);
    if (loop->draining && loop->drain_deadline_ms < at)
        at = loop->drain_deadline_ms;
    if (at == CLOCK_NEVER)
        return -1;
    int64_t wait = at - clock_ms();
    return wait <= 0 ? 0 : wait < INT32_MAX ? (int) wait : INT32_MAX;
}

bool loop_run(struct loop *loop, struct pool_thread *thread, struct pool_thread *from)
{
    struct epoll_event events[BATCH_EVENTS];
    loop->now_ms = clock_ms();
    /* With the clock that was set before, by who gave it. */
    atomic_store_explicit(&loop->owner_tid, gettid(), memory_order_release);
    scheduling_be_prompt();
    if (from) {
        loop->alarm_until_ms = loop->now_ms + ALARM_MS;
        session_adopt(pool_scratch(from));
        pool_thread_let_go(from);
        free_dead(loop);
    }
    while (!loop->draining || loop->sessions.count > 0) {
        log_nudge(loop->log);
        monitor_batch_ends(loop);
        int count = epoll_wait(loop->epoll_fd, events, BATCH_EVENTS, wait_ms(loop));
        monitor_batch_begins(loop->monitor, loop);
        loop->now_ms = clock_ms();
        if (!run_batch(loop, thread, events, count))
            return false;
        free_dead(loop);
    }
    log_nudge(loop->log);
    monitor_batch_ends(loop);
    return true;
}
