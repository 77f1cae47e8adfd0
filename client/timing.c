/*
 * timing: a histogram of nanoseconds.
 */
#include "client/timing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/histogram.h"

struct timing {
    int64_t min_ns; /* exactly, where the histogram's smallest is the end of a bucket */
    struct histogram histogram;
};

struct timing *timing_new(void) { return calloc(1, sizeof(struct timing)); }

void timing_free(struct timing *timing) { free(timing); }

void timing_add(struct timing *timing, int64_t ns)
{
    if (timing->histogram.count == 0 || ns < timing->min_ns)
        timing->min_ns = ns;
    histogram_add(&timing->histogram, (uint64_t) ns);
}

const char *timing_text(int64_t ns, char *text)
{
    snprintf(text, TIMING_TEXT_SIZE, "%.3f ms", (double) ns / 1e6);
    return text;
}

bool timing_summary(const struct timing *timing, char *text)
{
    const struct histogram *histogram = &timing->histogram;
    char min[TIMING_TEXT_SIZE];
    char median[TIMING_TEXT_SIZE];
    char p99[TIMING_TEXT_SIZE];
    char max[TIMING_TEXT_SIZE];
    if (histogram->count == 0)
        return false;
    timing_text(timing->min_ns, min);
    timing_text((int64_t) histogram_quantile(histogram, HISTOGRAM_WHOLE / 2), median);
    timing_text((int64_t) histogram_quantile(histogram, HISTOGRAM_WHOLE / 100 * 99), p99);
    timing_text((int64_t) histogram->max, max);
    snprintf(text, TIMING_SUMMARY_SIZE, "%" PRIu64 " %s: min %s, median %s, p99 %s, max %s",
             histogram->count, histogram->count == 1 ? "reply" : "replies", min, median, p99, max);
    return true;
}
