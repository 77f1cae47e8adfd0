/* program_queue: lanes in a ring, and their requests in rings of their own. */
#include "server/handlers/program/queue.h"

#include <stdlib.h>
#include <string.h>

#include "server/request.h"

void queue_init(struct queue *queue, struct handler *handler, size_t max_bytes, bool one_at_a_time)
{
    *queue =
        (struct queue){.handler = handler, .max_bytes = max_bytes, .one_at_a_time = one_at_a_time};
    pthread_mutex_init(&queue->lock, NULL);
}

void queue_fini(struct queue *queue) { pthread_mutex_destroy(&queue->lock); }

/* ---- the ring of lanes that can be served ---- */

/* The lane whose turn came last stands before `turn`: a lane that joins waits for all that are
 * there. */
static void join_ring_locked(struct queue *queue, struct lane *lane)
{
    if (!queue->turn) {
        lane->next = lane->previous = queue->turn = lane;
        return;
    }
    lane->next = queue->turn;
    lane->previous = queue->turn->previous;
    lane->previous->next = lane->next->previous = lane;
}

static void leave_ring_locked(struct queue *queue, struct lane *lane)
{
    if (!lane->next)
        return;
    if (queue->turn == lane)
        queue->turn = lane->next == lane ? NULL : lane->next;
    lane->previous->next = lane->next;
    lane->next->previous = lane->previous;
    lane->next = lane->previous = NULL;
}

/* A lane is in the ring while it has something that may be taken. */
static void settle_locked(struct queue *queue, struct lane *lane)
{
    bool servable = lane->count > 0 && !lane->taken;
    if (!servable)
        leave_ring_locked(queue, lane);
    else if (!lane->next)
        join_ring_locked(queue, lane);
}

/* ---- a lane's requests ---- */

static bool make_room_locked(struct lane *lane)
{
    if (lane->count < lane->capacity)
        return true;
    unsigned capacity = lane->capacity ? lane->capacity * 2 : 4;
    struct queue_item *items = malloc(capacity * sizeof *items);
    if (!items)
        return false;
    /* It is full: from the first one to the end, and what stands before the first one. */
    unsigned tail = lane->capacity - lane->first;
    if (lane->items) {
        memcpy(items, lane->items + lane->first, tail * sizeof *items);
        memcpy(items + tail, lane->items, lane->first * sizeof *items);
    }
    free(lane->items);
    lane->items = items;
    lane->first = 0;
    lane->capacity = capacity;
    return true;
}

static struct request *take_first_locked(struct queue *queue, struct lane *lane)
{
    struct queue_item item = lane->items[lane->first];
    lane->first = (lane->first + 1) % lane->capacity;
    lane->count--;
    queue->bytes -= item.cost;
    queue->waiting--;
    return item.request;
}

/* Under the lock, so that of two threads the one that knows better speaks last. */
static void tell_full_locked(struct queue *queue)
{
    bool full = handler_is_full(queue->handler);
    if (!full && queue->bytes > queue->max_bytes)
        handler_set_full(queue->handler, true);
    else if (full && queue->bytes <= queue->max_bytes / 2)
        handler_set_full(queue->handler, false);
}

/* ---- lanes ---- */

struct lane *lane_new(uint64_t session)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane)
        lane->session = session;
    return lane;
}

void lane_free(struct lane *lane)
{
    free(lane->items);
    free(lane);
}

bool queue_lane_end(struct queue *queue, struct lane *lane)
{
    bool wake = queue->one_at_a_time;
    pthread_mutex_lock(&queue->lock);
    while (lane->count > 0)
        request_release(take_first_locked(queue, lane));
    settle_locked(queue, lane);
    tell_full_locked(queue);
    if (queue->one_at_a_time) {
        lane->ended = true;
        lane->next_ended = queue->ended;
        queue->ended = lane;
    } else {
        lane_free(lane);
    }
    pthread_mutex_unlock(&queue->lock);
    return wake;
}

struct lane *queue_ended(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct lane *lane = queue->ended;
    if (lane)
        queue->ended = lane->next_ended;
    pthread_mutex_unlock(&queue->lock);
    return lane;
}

void queue_lane_done(struct queue *queue, struct lane *lane)
{
    pthread_mutex_lock(&queue->lock);
    lane->taken = false;
    settle_locked(queue, lane);
    pthread_mutex_unlock(&queue->lock);
}

/* ---- requests ---- */

static enum queue_put put_locked(struct queue *queue, struct lane *lane, struct request *request)
{
    /* A session's requests are over before its lane ends: looked at under the lock, the lane is
     * there. */
    if (request_is_over(request))
        return QUEUE_OVER;
    if (!make_room_locked(lane))
        return QUEUE_NO_MEMORY;
    size_t cost = request_size(request) + QUEUE_REQUEST_COST;
    lane->items[(lane->first + lane->count++) % lane->capacity] =
        (struct queue_item){request, cost};
    queue->bytes += cost;
    queue->waiting++;
    settle_locked(queue, lane);
    tell_full_locked(queue);
    if (!queue->sleeping || !queue->turn)
        return QUEUE_PUT;
    queue->sleeping = false;
    return QUEUE_PUT_WAKE;
}

enum queue_put queue_put(struct queue *queue, struct lane *lane, struct request *request)
{
    pthread_mutex_lock(&queue->lock);
    enum queue_put result = put_locked(queue, lane, request);
    pthread_mutex_unlock(&queue->lock);
    return result;
}

/* Takes from the lane whose turn it is; the turn goes on. */
static struct request *take_locked(struct queue *queue, struct lane **from)
{
    struct lane *lane = queue->turn;
    struct request *request = take_first_locked(queue, lane);
    queue->turn = lane->next;
    if (request_is_over(request)) {
        request_release(request);
        request = NULL;
    } else {
        lane->taken = queue->one_at_a_time;
    }
    settle_locked(queue, lane);
    *from = lane;
    return request;
}

struct request *queue_take(struct queue *queue, struct lane **lane)
{
    struct request *request = NULL;
    struct lane *from = NULL;
    pthread_mutex_lock(&queue->lock);
    while (!request && queue->turn)
        request = take_locked(queue, &from);
    tell_full_locked(queue);
    pthread_mutex_unlock(&queue->lock);
    if (lane)
        *lane = from;
    return request;
}

bool queue_sleep(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->sleeping = !queue->turn;
    bool sleeps = queue->sleeping;
    pthread_mutex_unlock(&queue->lock);
    return sleeps;
}
