/*
 * outcome: what an asker reports: requests a second, and how long replies took. One thread counts,
 * or several with a lock of their own.
 */
#ifndef BANTER_TESTS_BENCH_ASKERS_OUTCOME_H
#define BANTER_TESTS_BENCH_ASKERS_OUTCOME_H

#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "common/histogram.h"

#define OUTCOME_WARM_UP_NS 200000000ull /* before which nothing is counted */

struct outcome {
    uint64_t begin_ns, end_ns; /* of what is counted */
    struct histogram latencies;
};

static inline uint64_t outcome_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static inline void outcome_begin(struct outcome *outcome, double seconds)
{
    outcome->begin_ns = outcome_now() + OUTCOME_WARM_UP_NS;
    outcome->end_ns = outcome->begin_ns + (uint64_t) (seconds * 1e9);
}

/* A reply has come to a request of that time. */
static inline void outcome_add(struct outcome *outcome, uint64_t asked_ns, uint64_t now)
{
    if (now >= outcome->begin_ns && now < outcome->end_ns)
        histogram_add(&outcome->latencies, now - asked_ns);
}

/* As tests/bench/load reports it, with the processor time of this process. */
static inline void outcome_print(const struct outcome *outcome)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double seconds = (double) (outcome->end_ns - outcome->begin_ns) / 1e9;
    double cpu_us = 1e6 * (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    /* The warm-up is in the processor time, and is as busy as the rest. */
    cpu_us *= seconds / (seconds + (double) OUTCOME_WARM_UP_NS / 1e9);
    const struct histogram *latencies = &outcome->latencies;
    printf("{\"per_second\": %.0f, \"cpu_us\": %.2f, \"latency_us\": {\"p50\": %.1f, \"p99\": "
           "%.1f}}\n",
           (double) latencies->count / seconds,
           latencies->count ? cpu_us / (double) latencies->count : 0,
           (double) histogram_quantile(latencies, HISTOGRAM_WHOLE / 2) / 1e3,
           (double) histogram_quantile(latencies, HISTOGRAM_WHOLE / 100 * 99) / 1e3);
}

#endif
