/*
 * latency: how long requests and the like took, in log-linear buckets of the binary fractions of a
 * second.
 *
 * A struct latency_counter is added to by one thread and read by any, as every counter; a struct
 * latency is a sum of some of them, or the difference of two such sums, for one thread at a time.
 */
#ifndef BANTER_COMMON_LATENCY_H
#define BANTER_COMMON_LATENCY_H

#include <stdint.h>

#include "common/counter.h"

/* A bucket is as wide as a sixteenth of the power of two that it begins at or behind. Values are
 * from 2^-30 s, a nanosecond, to 2^12 s; longer ones are in the last bucket. */
enum {
    LATENCY_BITS = 4,
    LATENCY_LEAST_POWER = -30,
    LATENCY_MOST_POWER = 12,
    LATENCY_BUCKETS = (LATENCY_MOST_POWER - LATENCY_LEAST_POWER - LATENCY_BITS + 1) << LATENCY_BITS,
};

/* All zero: none yet. */
struct latency_counter {
    struct counter nanoseconds; /* all of them together */
    struct counter buckets[LATENCY_BUCKETS];
};

struct latency {
    uint64_t count;
    uint64_t nanoseconds;
    uint64_t buckets[LATENCY_BUCKETS];
};

/* `count` of them took that long each; a time that is negative counts as none. */
void latency_add(struct latency_counter *counter, int64_t nanoseconds, uint64_t count);

/* Adds what was counted so far. From any thread. */
void latency_sum(struct latency *sum, const struct latency_counter *counter);

/* Adds another sum. */
void latency_merge(struct latency *sum, const struct latency *other);

/* Takes away what had been counted at an earlier time, of the same counters. */
void latency_subtract(struct latency *sum, const struct latency *earlier);

/* How many took 2^`power` seconds at most; `power` is from LATENCY_LEAST_POWER to
 * LATENCY_MOST_POWER - 1. */
uint64_t latency_up_to(const struct latency *sum, int power);

/* The least time, in nanoseconds, that at least parts/HISTOGRAM_WHOLE (common/histogram.h) of them
 * did not exceed, rounded up by a sixteenth at most; 0 if there were none. */
uint64_t latency_quantile_ns(const struct latency *sum, unsigned parts);

#endif
