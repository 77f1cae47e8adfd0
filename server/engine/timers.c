/* timers: a binary heap that tells each timer its place, so that any of them can be moved or
 * removed. */
#include "server/engine/timers.h"

#include <stdlib.h>

static void put(struct timers *timers, size_t index, struct timers_entry entry)
{
    timers->heap[index] = entry;
    entry.timer->place = (uint32_t) index + 1;
}

static void sift_up(struct timers *timers, size_t index, struct timers_entry entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (timers->heap[parent].at_ms <= entry.at_ms)
            break;
        put(timers, index, timers->heap[parent]);
        index = parent;
    }
    put(timers, index, entry);
}

static void sift_down(struct timers *timers, size_t index, struct timers_entry entry)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && timers->heap[child + 1].at_ms < timers->heap[child].at_ms)
            child++;
        if (entry.at_ms <= timers->heap[child].at_ms)
            break;
        put(timers, index, timers->heap[child]);
        index = child;
    }
    put(timers, index, entry);
}

/* Puts an entry where a hole is: it may have to go either way. */
static void settle(struct timers *timers, size_t hole, struct timers_entry entry)
{
    if (hole > 0 && timers->heap[(hole - 1) / 2].at_ms > entry.at_ms)
        sift_up(timers, hole, entry);
    else
        sift_down(timers, hole, entry);
}

bool timers_reserve(struct timers *timers, size_t count)
{
    if (count <= timers->capacity)
        return true;
    size_t capacity = timers->capacity ? timers->capacity : 64;
    while (capacity < count)
        capacity *= 2;
    /* Not realloc(), which would touch, and so make resident, what no timer has needed yet. */
    struct timers_entry *heap = malloc(capacity * sizeof *heap);
    if (!heap)
        return false;
    for (size_t i = 0; i < timers->count; i++)
        heap[i] = timers->heap[i];
    free(timers->heap);
    timers->heap = heap;
    timers->capacity = capacity;
    return true;
}

void timers_arm(struct timers *timers, struct timer *timer, int64_t at_ms)
{
    struct timers_entry entry = {at_ms, timer};
    if (timer->place)
        settle(timers, timer->place - 1, entry);
    else
        sift_up(timers, timers->count++, entry);
}

void timers_disarm(struct timers *timers, struct timer *timer)
{
    if (!timer->place)
        return;
    size_t hole = timer->place - 1;
    timer->place = 0;
    struct timers_entry last = timers->heap[--timers->count];
    if (hole < timers->count)
        settle(timers, hole, last);
}

int64_t timers_due(const struct timers *timers, const struct timer *timer)
{
    return timer->place ? timers->heap[timer->place - 1].at_ms : TIMERS_NEVER;
}

int64_t timers_next(const struct timers *timers)
{
    return timers->count ? timers->heap[0].at_ms : TIMERS_NEVER;
}

struct timer *timers_take_due(struct timers *timers, int64_t now_ms)
{
    if (timers_next(timers) > now_ms)
        return NULL;
    struct timer *timer = timers->heap[0].timer;
    timers_disarm(timers, timer);
    return timer;
}

void timers_fini(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}
