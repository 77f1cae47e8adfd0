/*
 * histogram: log-linear buckets. The leading HISTOGRAM_BITS + 1 bits of a value choose its bucket;
 * the other bits are lost to rounding.
 */
#include "common/histogram.h"

static unsigned bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (unsigned) value;
    unsigned magnitude = 63u - (unsigned) __builtin_clzll(value);
    unsigned dropped = magnitude - HISTOGRAM_BITS;
    /* The leading bit is always set: adding it, too, moves each magnitude on by one block. */
    return dropped * HISTOGRAM_STEPS + (unsigned) (value >> dropped);
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_STEPS)
        return bucket;
    unsigned dropped = bucket / HISTOGRAM_STEPS - 1;
    uint64_t leading = bucket - dropped * HISTOGRAM_STEPS;
    return (leading << dropped) + (((uint64_t) 1 << dropped) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->buckets[bucket_of(value)]++;
    if (value > histogram->max)
        histogram->max = value;
}

/* How many values, from the smallest, the quantile covers: rounded up, at least one. The division
 * comes first so that no count overflows. */
static uint64_t rank_of(uint64_t count, unsigned parts)
{
    uint64_t whole = count / HISTOGRAM_WHOLE * parts;
    uint64_t rest = count % HISTOGRAM_WHOLE * parts;
    uint64_t rank = whole + (rest + HISTOGRAM_WHOLE - 1) / HISTOGRAM_WHOLE;
    return rank > 0 ? rank : 1;
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned parts)
{
    if (histogram->count == 0)
        return 0;
    uint64_t left = rank_of(histogram->count, parts);
    unsigned bucket = 0;
    while (histogram->buckets[bucket] < left)
        left -= histogram->buckets[bucket++];
    uint64_t end = bucket_end(bucket);
    return end < histogram->max ? end : histogram->max;
}
