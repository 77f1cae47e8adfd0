/*
 * awaiting: tenths of a second as long as they can be told apart, then seconds.
 */
#include "client/awaiting.h"

#include <inttypes.h>
#include <stdio.h>

#define TENTHS_MS 10000 /* up to here */

static int64_t step_ms(int64_t waited_ms) { return waited_ms < TENTHS_MS ? 100 : 1000; }

size_t awaiting_text(int64_t waited_ms, const char *verb, const char *hint, char *text)
{
    if (waited_ms < AWAITING_QUICK_MS)
        return 0;
    char time[32];
    const int64_t seconds = waited_ms / 1000;
    if (waited_ms < TENTHS_MS)
        snprintf(time, sizeof time, "%" PRId64 ".%" PRId64 " s", seconds, waited_ms % 1000 / 100);
    else if (seconds < 60)
        snprintf(time, sizeof time, "%" PRId64 " s", seconds);
    else
        snprintf(time, sizeof time, "%" PRId64 ":%02" PRId64, seconds / 60, seconds % 60);
    const int size = snprintf(text, AWAITING_TEXT_SIZE, "%s %s; %s", verb, time, hint);
    return size < AWAITING_TEXT_SIZE ? (size_t) size : AWAITING_TEXT_SIZE - 1;
}

int awaiting_next_ms(int64_t waited_ms)
{
    if (waited_ms < AWAITING_QUICK_MS)
        return (int) (AWAITING_QUICK_MS - waited_ms);
    return (int) (step_ms(waited_ms) - waited_ms % step_ms(waited_ms));
}
