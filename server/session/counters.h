/*
 * counters: what one shard has done so far. Each is written by the loop's owner alone, so counting
 * needs no locked operation, and may be read by any thread at any time. Requests are counted by the
 * loop (loop->served), events by the log.
 */
#ifndef BANTER_SERVER_SESSION_COUNTERS_H
#define BANTER_SERVER_SESSION_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

struct counters {
    _Atomic uint64_t received; /* bytes read from clients */
    _Atomic uint64_t sent;     /* bytes that the kernel took for them */
    _Atomic uint64_t moved;    /* sessions that went to another shard */
};

static inline void counter_add(_Atomic uint64_t *counter, uint64_t more)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + more, memory_order_relaxed);
}

static inline uint64_t counter_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
