/*
 * histogram: log-linear buckets. The leading bits + 1 bits of a value choose its bucket; the other
 * bits are lost to rounding.
 */
#include "common/histogram.h"

uint64_t histogram_bucket_end(unsigned bits, unsigned bucket)
{
    if (bucket < 2u << bits)
        return bucket;
    unsigned dropped = (bucket >> bits) - 1;
    uint64_t leading = bucket - (dropped << bits);
    return (leading << dropped) + (((uint64_t) 1 << dropped) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->buckets[histogram_bucket(HISTOGRAM_BITS, value)]++;
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

unsigned histogram_quantile_bucket(const uint64_t *buckets, uint64_t count, unsigned parts)
{
    uint64_t left = rank_of(count, parts);
    unsigned bucket = 0;
    while (buckets[bucket] < left)
        left -= buckets[bucket++];
    return bucket;
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned parts)
{
    if (histogram->count == 0)
        return 0;
    unsigned bucket = histogram_quantile_bucket(histogram->buckets, histogram->count, parts);
    uint64_t end = histogram_bucket_end(HISTOGRAM_BITS, bucket);
    return end < histogram->max ? end : histogram->max;
}
