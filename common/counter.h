/*
 * counter: a number that one thread adds to and any thread may read.
 *
 * Adding is a plain load and a plain store, without a locked operation, so two threads must never
 * add to one counter at a time. Threads that count the same thing have a counter each, and the
 * reader sums them.
 */
#ifndef BANTER_COMMON_COUNTER_H
#define BANTER_COMMON_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

/* All zero counts nothing yet. */
struct counter {
    _Atomic uint64_t value;
};

static inline uint64_t counter_get(const struct counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

static inline void counter_add(struct counter *counter, uint64_t amount)
{
    atomic_store_explicit(&counter->value, counter_get(counter) + amount, memory_order_relaxed);
}

#endif
