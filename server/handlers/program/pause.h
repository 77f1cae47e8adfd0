/*
 * pause: how long a clock has stood still. One thread lets it stand still and go on; any thread may
 * read it.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_PAUSE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_PAUSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* All zero: it runs, and has never stood still. */
struct pause {
    /* In ms. While the clock runs: how long it has stood still, all in all. While it stands still:
     * the same minus the time, so that it grows with the time. */
    _Atomic int64_t sum_ms;
};

static inline int64_t pause_ms(const struct pause *pause, int64_t now_ms)
{
    int64_t sum_ms = atomic_load_explicit(&pause->sum_ms, memory_order_relaxed);
    return sum_ms < 0 ? sum_ms + now_ms : sum_ms;
}

static inline void pause_begin(struct pause *pause, int64_t now_ms)
{
    int64_t sum_ms = atomic_load_explicit(&pause->sum_ms, memory_order_relaxed);
    if (sum_ms >= 0)
        atomic_store_explicit(&pause->sum_ms, sum_ms - now_ms, memory_order_relaxed);
}

static inline void pause_end(struct pause *pause, int64_t now_ms)
{
    int64_t sum_ms = atomic_load_explicit(&pause->sum_ms, memory_order_relaxed);
    if (sum_ms < 0)
        atomic_store_explicit(&pause->sum_ms, sum_ms + now_ms, memory_order_relaxed);
}

/* Lets it stand still, or go on. */
static inline void pause_set(struct pause *pause, bool paused, int64_t now_ms)
{
    if (paused)
        pause_begin(pause, now_ms);
    else
        pause_end(pause, now_ms);
}

#endif
