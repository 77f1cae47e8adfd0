/*
 * histogram: how often a latency occurred, in buckets that grow with the value.
 *
 * Log-linear: every power of two is cut into HISTOGRAM_STEPS equal buckets, so a quantile is too
 * high by one part in HISTOGRAM_STEPS at most, over the whole range of 64 bits and in constant
 * memory. All zero is an empty histogram. The unit is the caller's. A histogram is used by one
 * thread at a time.
 */
#ifndef BANTER_COMMON_HISTOGRAM_H
#define BANTER_COMMON_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 7
#define HISTOGRAM_STEPS (1u << HISTOGRAM_BITS)
/* Values below HISTOGRAM_STEPS have a bucket each; every power of two from there on has
 * HISTOGRAM_STEPS. */
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * (64 - HISTOGRAM_BITS + 1))

/* A quantile is a number of parts of this whole, which keeps 99.9 % exact: 99900. */
#define HISTOGRAM_WHOLE 100000u

struct histogram {
    uint64_t count; /* values added */
    uint64_t max;   /* the largest of them, exactly */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The smallest value that at least parts/HISTOGRAM_WHOLE of those added do not exceed, rounded
 * up to the end of its bucket but never beyond the largest. `parts` is from 0 (the smallest value)
 * to HISTOGRAM_WHOLE (the largest). 0 if nothing was added. */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned parts);

/* ---- for those who count by themselves ----
 *
 * Each power of two is cut into 1 << `bits` buckets; `bits` is from 0 to 7. */

/* The bucket of a value. That of a power of two is the first of its block: all smaller values are
 * in the buckets before. */
static inline unsigned histogram_bucket(unsigned bits, uint64_t value)
{
    if (value >> bits == 0)
        return (unsigned) value;
    unsigned magnitude = 63u - (unsigned) __builtin_clzll(value);
    unsigned dropped = magnitude - bits;
    /* The leading bit is always set: adding it, too, moves each magnitude on by one block. */
    return (dropped << bits) + (unsigned) (value >> dropped);
}

/* The largest value that falls into a bucket. */
uint64_t histogram_bucket_end(unsigned bits, unsigned bucket);

/* The bucket of the smallest value that at least parts/HISTOGRAM_WHOLE of `count` values do not
 * exceed. `count` is the sum of all buckets, and not 0. */
unsigned histogram_quantile_bucket(const uint64_t *buckets, uint64_t count, unsigned parts);

#endif
