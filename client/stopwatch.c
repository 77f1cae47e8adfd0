/*
 * stopwatch: see stopwatch.h.
 */
#include "client/stopwatch.h"

#include <stdio.h>

#include "client/report.h"
#include "common/clock.h"

#define MANY_BYTES ((size_t) 64 << 10)

bool stopwatch_init(struct stopwatch *stopwatch, bool is_wanted, const char *unit)
{
    *stopwatch = (struct stopwatch){.unit = unit};
    if (is_wanted)
        stopwatch->timing = timing_new();
    return !is_wanted || stopwatch->timing;
}

void stopwatch_fini(struct stopwatch *stopwatch)
{
    timing_free(stopwatch->timing);
    stopwatch->timing = NULL;
    owed_fini(&stopwatch->owed);
    buffer_fini(&stopwatch->lines);
}

void stopwatch_look(struct stopwatch *stopwatch)
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
    const int64_t ns = stopwatch->now_ns - owed_first(&stopwatch->owed)->at_ns;
    owed_answered(&stopwatch->owed);
    timing_add(stopwatch->timing, ns);
    report_time(&stopwatch->lines, stopwatch->unit, ++stopwatch->answered, ns);
}

bool stopwatch_has_lines(const struct stopwatch *stopwatch)
{
    return buffer_size(&stopwatch->lines) > 0;
}

bool stopwatch_has_many(const struct stopwatch *stopwatch)
{
    return buffer_size(&stopwatch->lines) >= MANY_BYTES;
}

void stopwatch_tell(struct stopwatch *stopwatch)
{
    if (!stopwatch_has_lines(stopwatch))
        return;
    fwrite(buffer_head(&stopwatch->lines), 1, buffer_size(&stopwatch->lines), stderr);
    buffer_clear(&stopwatch->lines);
}

void stopwatch_sum_up(struct stopwatch *stopwatch)
{
    stopwatch_tell(stopwatch);
    if (stopwatch_runs(stopwatch))
        report_times(stopwatch->timing);
}
