/* latency: nanoseconds to binary fractions of a second, and back. */
#include "common/latency.h"

#include "common/histogram.h"

/* How many steps of 2^LATENCY_LEAST_POWER s a second has, and how many nanoseconds. */
#define STEPS ((uint64_t) 1 << -LATENCY_LEAST_POWER)
#define SECOND_NS UINT64_C(1000000000)

/* A time that is a power of two itself belongs to those below it: steps are rounded up, and one is
 * taken away. */
static unsigned bucket_of(int64_t nanoseconds)
{
    if (nanoseconds <= 0)
        return 0;
    uint64_t whole = (uint64_t) nanoseconds / SECOND_NS, rest = (uint64_t) nanoseconds % SECOND_NS;
    uint64_t steps = whole * STEPS + (rest * STEPS + SECOND_NS - 1) / SECOND_NS;
    unsigned bucket = histogram_bucket(LATENCY_BITS, steps - 1);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

void latency_add(struct latency_counter *counter, int64_t nanoseconds, uint64_t count)
{
    if (nanoseconds > 0)
        counter_add(&counter->nanoseconds, (uint64_t) nanoseconds * count);
    counter_add(&counter->buckets[bucket_of(nanoseconds)], count);
}

void latency_sum(struct latency *sum, const struct latency_counter *counter)
{
    sum->nanoseconds += counter_get(&counter->nanoseconds);
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        uint64_t count = counter_get(&counter->buckets[i]);
        sum->buckets[i] += count;
        sum->count += count;
    }
}

void latency_merge(struct latency *sum, const struct latency *other)
{
    sum->count += other->count;
    sum->nanoseconds += other->nanoseconds;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        sum->buckets[i] += other->buckets[i];
}

void latency_subtract(struct latency *sum, const struct latency *earlier)
{
    sum->count -= earlier->count;
    sum->nanoseconds -= earlier->nanoseconds;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        sum->buckets[i] -= earlier->buckets[i];
}

uint64_t latency_up_to(const struct latency *sum, int power)
{
    unsigned end = histogram_bucket(LATENCY_BITS, (uint64_t) 1 << (power - LATENCY_LEAST_POWER));
    uint64_t count = 0;
    for (unsigned i = 0; i < end; i++)
        count += sum->buckets[i];
    return count;
}

uint64_t latency_quantile_ns(const struct latency *sum, unsigned parts)
{
    if (sum->count == 0)
        return 0;
    unsigned bucket = histogram_quantile_bucket(sum->buckets, sum->count, parts);
    uint64_t steps = histogram_bucket_end(LATENCY_BITS, bucket) + 1;
    return steps / STEPS * SECOND_NS + steps % STEPS * SECOND_NS / STEPS;
}
