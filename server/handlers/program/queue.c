/* queue: the ready flows, and each flow's requests in a ring. */
#include "server/handlers/program/queue.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "server/net/peer.h"
#include "server/request.h"

/* With the small ones, which are not counted, 16 MiB. */
enum { FLOW_MAX_REPLIES = 12 << 20 };

void queue_init(struct queue *queue, struct handler *handler, const struct queue_bounds *bounds,
                bool one_at_a_time)
{
    *queue = (struct queue){.handler = handler,
                            .bounds = *bounds,
                            .one_at_a_time = one_at_a_time,
                            .keeps_flows = one_at_a_time};
    pthread_mutex_init(&queue->lock, NULL);
    TAILQ_INIT(&queue->ready);
}

void queue_keep_flows(struct queue *queue) { queue->keeps_flows = true; }

void queue_fini(struct queue *queue) { pthread_mutex_destroy(&queue->lock); }

/* ---- ready flows ---- */

/* A flow is ready while it has something that may be taken. One that becomes ready waits for all
 * that are. */
static void update_ready_locked(struct queue *queue, struct flow *flow)
{
    bool ready = flow->count > 0 && !flow->taken && flow->replies <= FLOW_MAX_REPLIES;
    if (ready && !flow->is_ready)
        TAILQ_INSERT_TAIL(&queue->ready, flow, entry);
    else if (!ready && flow->is_ready)
        TAILQ_REMOVE(&queue->ready, flow, entry);
    flow->is_ready = ready;
}

/* ---- a flow's requests ---- */

static bool make_room_locked(struct flow *flow)
{
    if (flow->count < flow->capacity)
        return true;
    unsigned capacity = flow->capacity ? flow->capacity * 2 : 4;
    struct queue_item *items = malloc(capacity * sizeof *items);
    if (!items)
        return false;
    /* The ring is full: from the first item to the end, then the items before the first. */
    unsigned tail = flow->capacity - flow->first;
    if (flow->items) {
        memcpy(items, flow->items + flow->first, tail * sizeof *items);
        memcpy(items + tail, flow->items, flow->first * sizeof *items);
    }
    free(flow->items);
    flow->items = items;
    flow->first = 0;
    flow->capacity = capacity;
    return true;
}

static struct request *take_first_locked(struct queue *queue, struct flow *flow)
{
    struct queue_item item = flow->items[flow->first];
    flow->first = (flow->first + 1) % flow->capacity;
    flow->count--;
    flow->bytes -= item.cost;
    queue->bytes -= item.cost;
    queue->waiting--;
    return item.request;
}

/* Under the lock, so that of two threads the one with the newer state comes last. */
static void update_full_locked(struct queue *queue)
{
    bool full = handler_is_full(queue->handler);
    if (!full && queue->bytes > queue->bounds.all)
        handler_set_full(queue->handler, true);
    else if (full && queue->bytes <= queue->bounds.all / 2)
        handler_set_full(queue->handler, false);
}

static enum handler_backlog backlog_of(const struct flow *flow, size_t bound, bool was_full)
{
    if (flow->count == 0)
        return HANDLER_BACKLOG_NONE;
    return flow->bytes > (was_full ? bound / 2 : bound) ? HANDLER_BACKLOG_FULL
                                                        : HANDLER_BACKLOG_SOME;
}

/* Returns whether its session could not be read before, and can be now. */
static bool update_backlog_locked(const struct queue *queue, struct flow *flow)
{
    atomic_uchar *backlog = &flow->base.backlog;
    unsigned before = atomic_load_explicit(backlog, memory_order_relaxed);
    bool was_full = before == HANDLER_BACKLOG_FULL;
    unsigned after = backlog_of(flow, queue->bounds.each, was_full);
    if (after == before)
        return false;
    atomic_store_explicit(backlog, (unsigned char) after, memory_order_relaxed);
    return after < before && (was_full || handler_is_full(queue->handler));
}

/* ---- flows ---- */

struct flow *flow_new(uint64_t session)
{
    struct flow *flow = calloc(1, sizeof *flow);
    if (flow)
        flow->session = session;
    return flow;
}

void flow_set_peer(struct flow *flow, const struct peer_text *peer)
{
    flow->peer = malloc(sizeof *peer);
    if (flow->peer)
        *flow->peer = *peer;
}

void flow_free(struct flow *flow)
{
    free(flow->peer);
    free(flow->items);
    free(flow);
}

bool queue_flow_end(struct queue *queue, struct flow *flow)
{
    bool wake = queue->keeps_flows;
    pthread_mutex_lock(&queue->lock);
    while (flow->count > 0)
        request_release(take_first_locked(queue, flow));
    update_ready_locked(queue, flow);
    update_full_locked(queue);
    if (queue->keeps_flows) {
        SLIST_INSERT_HEAD(&queue->ended, flow, ended_entry);
    } else if (flow->stopped > 0) {
        flow->is_ended = true;
    } else {
        flow_free(flow);
    }
    pthread_mutex_unlock(&queue->lock);
    return wake;
}

struct flow *queue_ended(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct flow *flow = SLIST_FIRST(&queue->ended);
    if (flow)
        SLIST_REMOVE_HEAD(&queue->ended, ended_entry);
    pthread_mutex_unlock(&queue->lock);
    return flow;
}

void queue_flow_done(struct queue *queue, struct flow *flow)
{
    pthread_mutex_lock(&queue->lock);
    flow->taken = false;
    update_ready_locked(queue, flow);
    pthread_mutex_unlock(&queue->lock);
}

/* ---- requests ---- */

static enum queue_put put_locked(struct queue *queue, struct flow *flow, struct request *request)
{
    /* A session's requests are over before its flow ends: if this one is not, the flow is there as
     * long as the lock is held. */
    if (request_is_over(request))
        return QUEUE_OVER;
    if (!make_room_locked(flow))
        return QUEUE_NO_MEMORY;
    size_t cost = request_size(request) + QUEUE_REQUEST_COST;
    flow->items[(flow->first + flow->count++) % flow->capacity] =
        (struct queue_item){request, cost};
    flow->bytes += cost;
    queue->bytes += cost;
    queue->waiting++;
    update_backlog_locked(queue, flow);
    update_ready_locked(queue, flow);
    update_full_locked(queue);
    if (!queue->sleeping || TAILQ_EMPTY(&queue->ready))
        return QUEUE_PUT;
    queue->sleeping = false;
    return QUEUE_PUT_WAKE;
}

enum queue_put queue_put(struct queue *queue, struct flow *flow, struct request *request)
{
    pthread_mutex_lock(&queue->lock);
    enum queue_put result = put_locked(queue, flow, request);
    pthread_mutex_unlock(&queue->lock);
    return result;
}

/* Takes from the first ready flow, which goes behind the others if it has more. */
static struct request *take_locked(struct queue *queue, struct flow **from)
{
    struct flow *flow = TAILQ_FIRST(&queue->ready);
    struct request *request = take_first_locked(queue, flow);
    TAILQ_REMOVE(&queue->ready, flow, entry);
    flow->is_ready = false;
    if (request_is_over(request)) {
        request_release(request);
        request = NULL;
    } else {
        flow->taken = queue->one_at_a_time;
    }
    update_ready_locked(queue, flow);
    if (!request)
        update_backlog_locked(queue, flow); /* what is over has had the session's turn */
    *from = flow;
    return request;
}

/* Takes more from the same flow. Returns how many. */
static unsigned take_more_locked(struct queue *queue, struct flow *flow, struct request **requests,
                                 unsigned max)
{
    unsigned count = 0;
    while (count < max && flow->count > 0) {
        requests[count] = take_first_locked(queue, flow);
        if (request_is_over(requests[count]))
            request_release(requests[count]);
        else
            count++;
    }
    update_ready_locked(queue, flow);
    return count;
}

unsigned queue_take_some(struct queue *queue, struct request **requests, unsigned max,
                         struct flow **flow)
{
    struct flow *from = NULL;
    bool has_room = false;
    unsigned count = 0;
    requests[0] = NULL;
    pthread_mutex_lock(&queue->lock);
    while (!requests[0] && !TAILQ_EMPTY(&queue->ready))
        requests[0] = take_locked(queue, &from);
    if (requests[0]) {
        count = 1 + (max > 1 ? take_more_locked(queue, from, requests + 1, max - 1) : 0);
        has_room = update_backlog_locked(queue, from);
    }
    update_full_locked(queue);
    pthread_mutex_unlock(&queue->lock);
    if (has_room)
        request_resume_session(requests[0]);
    if (flow)
        *flow = from;
    return count;
}

struct request *queue_take(struct queue *queue, struct flow **flow)
{
    struct request *request;
    return queue_take_some(queue, &request, 1, flow) > 0 ? request : NULL;
}

/* ---- replies ---- */

void queue_reply_held(struct queue *queue, struct request *request, size_t size)
{
    pthread_mutex_lock(&queue->lock);
    if (!request_is_over(request)) { /* else the flow may be gone: see put_locked() */
        struct flow *flow = request_session_data(request);
        *request_charge(request) = size;
        flow->replies += size;
        update_ready_locked(queue, flow);
    }
    pthread_mutex_unlock(&queue->lock);
}

bool queue_reply_gone(struct queue *queue, struct request *request)
{
    struct flow *flow = request_session_data(request);
    pthread_mutex_lock(&queue->lock);
    flow->replies -= *request_charge(request);
    *request_charge(request) = 0;
    update_ready_locked(queue, flow);
    bool wake = queue->sleeping && !TAILQ_EMPTY(&queue->ready);
    queue->sleeping = queue->sleeping && !wake;
    pthread_mutex_unlock(&queue->lock);
    return wake;
}

/* ---- clocks ---- */

int64_t queue_deadline_ms(struct queue *queue, const struct request *request)
{
    pthread_mutex_lock(&queue->lock);
    int64_t at_ms = request_is_over(request) ? CLOCK_NEVER : request_deadline_ms(request);
    pthread_mutex_unlock(&queue->lock);
    return at_ms;
}

struct flow *queue_stop_clock(struct queue *queue, const struct request *request, int64_t now_ms)
{
    struct flow *flow = NULL;
    pthread_mutex_lock(&queue->lock);
    if (!request_is_over(request)) { /* else the flow may be gone: see put_locked() */
        flow = request_session_data(request);
        if (flow->stopped++ == 0)
            pause_begin(&flow->stops, now_ms);
    }
    pthread_mutex_unlock(&queue->lock);
    return flow;
}

void queue_start_clock(struct queue *queue, struct flow *flow, int64_t now_ms)
{
    pthread_mutex_lock(&queue->lock);
    if (--flow->stopped == 0)
        pause_end(&flow->stops, now_ms);
    if (flow->stopped == 0 && flow->is_ended)
        flow_free(flow);
    pthread_mutex_unlock(&queue->lock);
}

bool queue_sleep(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->sleeping = TAILQ_EMPTY(&queue->ready);
    bool sleeps = queue->sleeping;
    pthread_mutex_unlock(&queue->lock);
    return sleeps;
}
