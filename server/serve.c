/*
 * serve: wait; tell apart what epoll reports; deadlines; those that are ready; and again.
 *
 * Only turns call handlers, and only in a call can the loop be taken. So whatever happens between
 * the sockets' turns (the inbox, deadlines, accepting) may keep a list on the stack; what must
 * outlive a turn is in the loop or in the shard. A function that returns false has lost the loop.
 */
#include "server/serve.h"

#include <assert.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "common/buffer_pool.h"
#include "common/clock.h"
#include "server/deal.h"
#include "server/engine/monitor.h"
#include "server/engine/scaler.h"
#include "server/handler.h"
#include "server/log/log.h"
#include "server/net/admission.h"
#include "server/request_owner.h"
#include "server/session/close.h"
#include "server/session/deadlines.h"
#include "server/session/inquiry.h"
#include "server/session/scratch.h"
#include "server/session/transfer.h"
#include "server/session/turn.h"
#include "server/stream.h"

enum {
    BATCH_EVENTS = 256,
    ACCEPTS_AT_ONCE = 16, /* before the loop's sessions have their turns again */
    /* after a call has lost the loop: for how long no newcomer is trusted to be quick */
    ALARM_MS = 100,
    RECALLS = 100, /* of a millisecond each, before a stop goes on without */
};

/* ---- accepting ---- */

/* If there are more sockets than descriptors will last for, some that linger are closed first:
 * those of this shard at once, those of others soon. False: nobody is accepted before that. */
static bool make_room(const struct shared *shared, struct shard *shard)
{
    close_lingering(shard);
    if (!admission_is_crowded(shared->admission))
        return true;
    for (unsigned i = 0; i < shared->scaler->count; i++)
        if (linger_count(&shared->shards[i].linger) > 0)
            shard_relieve(&shared->shards[i]);
    return false;
}

/* Accepts some of those that wait at this listener; if there are more epoll reports it again. */
static void accept_some(struct shard *shard, const struct listener *listener,
                        struct scratch *scratch)
{
    const struct shared *shared = shard->shared;
    struct accepted accepted;
    bool dealt = true;
    if (admission_is_crowded(shared->admission) && !make_room(shared, shard))
        return;
    if (!scaler_begin_move(shared->scaler))
        return;
    for (int i = 0; i < ACCEPTS_AT_ONCE && dealt; i++) {
        if (!acceptor_next(shared->acceptor, listener, &accepted))
            break;
        dealt = deal(shared, &accepted, shard, scratch);
        if (dealt)
            acceptor_recover(shared->acceptor);
        else
            acceptor_rest(shared->acceptor);
    }
    scaler_end_move(shared->scaler);
}

/* Whether this shard is the one that accepts. */
static bool accepts(const struct shard *shard)
{
    return shard->shared->acceptor->loop == &shard->loop;
}

/* ---- the stop ---- */

static void begin_drain(struct shard *shard, struct scratch *scratch)
{
    int64_t timeout = shard->shared->settings.config.drain_timeout_ms;
    shard->draining = true;
    shard->drain_deadline_ms = shard->loop.now_ms + timeout;
    size_t place = 0;
    for (struct session *session; (session = store_next(&shard->store, &place));)
        turn_drain(session, scratch);
}

/* What the handler has given away, and was not begun, it takes back before. Whether it has: nobody
 * waits long for that. */
static bool has_recalled(struct shard *shard)
{
    struct handler *handler = shard->shared->settings.config.handler;
    shard->drain_deadline_ms = shard->loop.now_ms + 1;
    return !handler->kind->recall || handler->kind->recall(handler) || shard->recalls++ >= RECALLS;
}

/* First what is owed is refused; whoever can't take even that is closed a linger's time later. */
static void end_drain(struct shard *shard)
{
    if (shard->refusing) {
        shard_for_each(shard, close_now);
        shard->drain_deadline_ms = CLOCK_NEVER;
        return;
    }
    if (!has_recalled(shard))
        return;
    shard->refusing = true;
    shard->drain_deadline_ms = shard->loop.now_ms + SESSION_LINGER_MS;
    shard_for_each(shard, turn_refuse);
}

/* ---- between the sockets' turns ---- */

static void take_node(struct shard *shard, struct inbox_node *node, struct scratch *scratch)
{
    switch (node->kind) {
    case INBOX_ANSWER:
        request_deliver_answer(node);
        break;
    case INBOX_RETURN:
        request_deliver_return(node);
        break;
    case INBOX_ROOM:
        request_deliver_room(node);
        break;
    case INBOX_TRANSFER:
        deal_begin((struct transfer *) node, shard, scratch);
        break;
    case INBOX_RESUME:
        atomic_store(&shard->resume_posted, false);
        shard_for_each(shard, turn_resume);
        break;
    case INBOX_RELIEVE:
        atomic_store(&shard->relieve_posted, false);
        close_lingering(shard);
        break;
    case INBOX_STOP:
        begin_drain(shard, scratch);
        break;
    case INBOX_INQUIRY:
        inquiry_go_on(node, shard, scratch);
        break;
    case INBOX_STREAM_STARTED:
    case INBOX_STREAM_ENDED:
        turn_stream(node, scratch);
        break;
    }
}

static void open_inbox(struct shard *shard, struct scratch *scratch)
{
    for (struct inbox_node *node = loop_take_inbox(&shard->loop), *next; node; node = next) {
        next = node->next;
        take_node(shard, node, scratch);
    }
}

void serve_discard(struct shard *shard)
{
    for (struct inbox_node *node = inbox_take_all(&shard->loop.inbox), *next; node; node = next) {
        next = node->next;
        if (node->kind == INBOX_TRANSFER)
            transfer_free((struct transfer *) node, shard->shared);
        else if (node->kind == INBOX_ANSWER || node->kind == INBOX_RETURN ||
                 node->kind == INBOX_ROOM)
            request_discard(node);
        else if (node->kind == INBOX_STREAM_STARTED || node->kind == INBOX_STREAM_ENDED)
            stream_release(stream_of_node(node));
        else if (node->kind == INBOX_INQUIRY)
            inquiry_discard(node);
    }
}

/* Some events were seen to. The look that they belong to is complete if there were no more, or if
 * each source has had its turn: epoll reports them in turn. */
static void end_look(struct shard *shard, int count)
{
    struct loop *loop = &shard->loop;
    loop->look_events += (unsigned) count;
    if (count == BATCH_EVENTS && loop->look_events < shard->store.count + 2 * BATCH_EVENTS)
        return;
    loop->looked_ms = loop->look_ms;
    loop->look_ms = loop->now_ms;
    loop->look_events = 0;
}

static void run_deadlines(struct shard *shard, struct scratch *scratch)
{
    struct loop *loop = &shard->loop;
    struct acceptor *acceptor = shard->shared->acceptor;
    struct heap_item *item;
    while ((item = heap_take(&loop->deadlines, loop->looked_ms)))
        turn_deadline((struct session *) ((char *) item - offsetof(struct session, deadline)),
                      scratch);
    if (shard->draining && shard->drain_deadline_ms <= loop->looked_ms)
        end_drain(shard);
    if (accepts(shard) && acceptor_rests_until(acceptor) <= loop->now_ms)
        acceptor_wake(acceptor);
}

/* ---- batches ---- */

/* Those that are ready when it begins; one that becomes ready meanwhile waits until the sockets
 * were looked at. */
static bool run_ready(struct shard *shard, struct scratch *scratch)
{
    struct loop_item *item;
    loop_begin_pass(&shard->loop);
    while ((item = loop_next_ready(&shard->loop))) {
        struct session_active *active =
            (struct session_active *) ((char *) item - offsetof(struct session_active, ready));
        if (!turn_ready(active->session, scratch))
            return false;
    }
    return true;
}

static bool run_batch(struct shard *shard, struct scratch *scratch,
                      const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        void *object = loop_event_object(&events[i]);
        switch (loop_event_source(&events[i])) {
        case LOOP_SESSION:
            if (!turn_event(object, scratch, events[i].events))
                return false;
            break;
        case LOOP_PIPES:
            turn_pipes_event(object, scratch, events[i].events);
            break;
        case LOOP_LISTENER:
            accept_some(shard, object, scratch);
            break;
        default: /* LOOP_INBOX, LOOP_POOL; a case of its own would make sessions' events dearer */
            if (loop_event_source(&events[i]) == LOOP_POOL)
                buffer_pool_tick();
            else
                open_inbox(shard, scratch);
            break;
        }
    }
    end_look(shard, count);
    run_deadlines(shard, scratch);
    return run_ready(shard, scratch);
}

static int64_t next_deadline(const struct shard *shard)
{
    const struct loop *loop = &shard->loop;
    int64_t at = heap_first_key(&loop->deadlines);
    if (accepts(shard) && acceptor_rests_until(shard->shared->acceptor) < at)
        at = acceptor_rests_until(shard->shared->acceptor);
    if (shard->draining && shard->drain_deadline_ms < at)
        at = shard->drain_deadline_ms;
    return at;
}

/* The whole process has stood still: a frozen machine, a debugger, SIGSTOP. */
static void postpone(struct shard *shard, int64_t ms)
{
    size_t place = 0;
    for (struct session *session; (session = store_next(&shard->store, &place));)
        deadlines_postpone(session, ms);
    if (shard->draining && shard->drain_deadline_ms != CLOCK_NEVER)
        shard->drain_deadline_ms += ms;
}

static void begin_batch(struct shard *shard)
{
    struct loop *loop = &shard->loop;
    loop->batch_ns = clock_ns(CLOCK_MONOTONIC);
    loop->now_ms = loop->batch_ns / 1000000;
    counter_add(&shard->counters.batches, 1);
}

/* Waits for events, and sets the loop's clock. */
static int wait_for_events(struct shard *shard, struct epoll_event *events)
{
    struct loop *loop = &shard->loop;
    struct monitor *monitor = shard->shared->monitor;
    int64_t at_ms = TAILQ_EMPTY(&loop->ready) ? next_deadline(shard) : loop->now_ms;
    int64_t batch_ms = loop->now_ms;
    int64_t until_ms = CLOCK_NEVER, paused_ms = 0;
    int wait = at_ms == CLOCK_NEVER ? -1 : 0;
    if (at_ms > batch_ms && at_ms != CLOCK_NEVER) {
        int64_t begun_ms = clock_ms();
        paused_ms = clock_batch_paused_ms(begun_ms, batch_ms);
        wait = clock_part_ms(at_ms - begun_ms);
        until_ms = begun_ms + wait;
    }
    monitor_batch_ends(loop);
    int count = epoll_wait(loop->epoll_fd, events, BATCH_EVENTS, wait);
    monitor_batch_begins(monitor, loop);
    begin_batch(shard);
    if (until_ms != CLOCK_NEVER)
        paused_ms += clock_paused_ms(loop->now_ms, until_ms);
    else if (wait == 0)
        paused_ms = clock_batch_paused_ms(loop->now_ms, batch_ms);
    if (paused_ms > 0)
        postpone(shard, paused_ms);
    return count;
}

/* ---- what the pool's threads do ---- */

/* The loop was taken from another thread, in a call. */
static void take_over(struct shard *shard, struct pool_thread *from)
{
    shard->loop.alarm_until_ms = shard->loop.now_ms + ALARM_MS;
    turn_adopt(from);
    shard_measure(shard); /* of the batch that was cut off */
    pool_thread_let_go(from);
    shard_free_dead(shard);
}

static bool own(struct loop *loop, struct pool_thread *thread, struct pool_thread *from)
{
    struct shard *shard = shard_of(loop);
    struct scratch *scratch = scratch_of(thread);
    struct epoll_event events[BATCH_EVENTS];
    loop->now_ms = loop->look_ms = clock_ms();
    loop->look_events = 0;
    /* Behind the clock that was set before, by whoever gave the loop. */
    atomic_store_explicit(&loop->owner_tid, pool_thread_self(thread)->tid, memory_order_release);
    thread_sched_interactive();
    atomic_store(&shard->serves, true);
    if (from)
        take_over(shard, from);
    open_inbox(shard, scratch); /* its event may have been in a batch that was cut off */
    while (!shard->draining || shard->store.count > 0) {
        log_nudge(shard->log);
        int count = wait_for_events(shard, events);
        shard_look_at_log(shard);
        if (!run_batch(shard, scratch, events, count))
            return false;
        shard_measure(shard);
        shard_free_dead(shard);
    }
    atomic_store(&shard->serves, false);
    log_nudge(shard->log);
    monitor_batch_ends(loop);
    atomic_store_explicit(&loop->owner_tid, 0, memory_order_release);
    return true;
}

const struct pool_ops serve_pool_ops = {
    .context_bytes = sizeof(struct scratch),
    .own = own,
    .lost = scratch_lost,
    .fini = scratch_fini,
};
