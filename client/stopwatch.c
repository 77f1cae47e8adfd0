/* stopwatch: a histogram of nanoseconds, and lines that are kept to be written many at once. */
#include "client/stopwatch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/report.h"
#include "common/clock.h"
#include "common/histogram.h"

#define MANY_BYTES ((size_t) 64 << 10)

struct stopwatch_times {
    int64_t min_ns; /* exact; the histogram only knows the end of a bucket */
    struct histogram histogram;
};

bool stopwatch_init(struct stopwatch *stopwatch, bool is_wanted, const char *unit)
{
    *stopwatch = (struct stopwatch){.unit = unit};
    if (is_wanted)
        stopwatch->times = calloc(1, sizeof *stopwatch->times);
    return !is_wanted || stopwatch->times;
}

void stopwatch_fini(struct stopwatch *stopwatch)
{
    free(stopwatch->times);
    stopwatch->times = NULL;
    owed_fini(&stopwatch->owed);
    buffer_fini(&stopwatch->lines);
}

/* ---- times ---- */

void stopwatch_add(struct stopwatch *stopwatch, int64_t ns)
{
    struct stopwatch_times *times = stopwatch->times;
    if (times->histogram.count == 0 || ns < times->min_ns)
        times->min_ns = ns;
    histogram_add(&times->histogram, (uint64_t) ns);
}

const char *stopwatch_text(int64_t ns, char *text)
{
    snprintf(text, STOPWATCH_TEXT_SIZE, "%.3f ms", (double) ns / 1e6);
    return text;
}

bool stopwatch_summary(const struct stopwatch *stopwatch, char *text)
{
    if (!stopwatch_runs(stopwatch) || stopwatch->times->histogram.count == 0)
        return false;
    const struct histogram *histogram = &stopwatch->times->histogram;
    char min[STOPWATCH_TEXT_SIZE];
    char median[STOPWATCH_TEXT_SIZE];
    char p99[STOPWATCH_TEXT_SIZE];
    char max[STOPWATCH_TEXT_SIZE];
    stopwatch_text(stopwatch->times->min_ns, min);
    stopwatch_text((int64_t) histogram_quantile(histogram, HISTOGRAM_WHOLE / 2), median);
    stopwatch_text((int64_t) histogram_quantile(histogram, HISTOGRAM_WHOLE / 100 * 99), p99);
    stopwatch_text((int64_t) histogram->max, max);
    snprintf(text, STOPWATCH_SUMMARY_SIZE, "%" PRIu64 " %s: min %s, median %s, p99 %s, max %s",
             histogram->count, histogram->count == 1 ? "reply" : "replies", min, median, p99, max);
    return true;
}

/* ---- for a batch ---- */

void stopwatch_read_clock(struct stopwatch *stopwatch)
{
    if (stopwatch_runs(stopwatch))
        stopwatch->now_ns = clock_ns(CLOCK_MONOTONIC);
}

bool stopwatch_asked(struct stopwatch *stopwatch)
{
    if (!stopwatch_runs(stopwatch) || owed_add(&stopwatch->owed, NULL, 0, stopwatch->now_ns))
        return true;
    stopwatch_fini(stopwatch);
    return false;
}

void stopwatch_answered(struct stopwatch *stopwatch)
{
    if (!stopwatch_runs(stopwatch))
        return;
    char text[STOPWATCH_TEXT_SIZE];
    int64_t ns = stopwatch->now_ns - owed_first(&stopwatch->owed)->at_ns;
    owed_answered(&stopwatch->owed);
    stopwatch_add(stopwatch, ns);
    report_time(&stopwatch->lines, stopwatch->unit, ++stopwatch->answered,
                stopwatch_text(ns, text));
}

bool stopwatch_has_lines(const struct stopwatch *stopwatch)
{
    return buffer_size(&stopwatch->lines) > 0;
}

bool stopwatch_has_many(const struct stopwatch *stopwatch)
{
    return buffer_size(&stopwatch->lines) >= MANY_BYTES;
}

void stopwatch_write(struct stopwatch *stopwatch)
{
    if (!stopwatch_has_lines(stopwatch))
        return;
    fwrite(buffer_head(&stopwatch->lines), 1, buffer_size(&stopwatch->lines), stderr);
    buffer_clear(&stopwatch->lines);
}

void stopwatch_sum_up(struct stopwatch *stopwatch)
{
    char text[STOPWATCH_SUMMARY_SIZE];
    stopwatch_write(stopwatch);
    if (stopwatch_summary(stopwatch, text))
        report(text);
}
