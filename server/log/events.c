/*
 * events: see events.h.
 */
#include "server/log/events.h"

#include <assert.h>
#include <stdbool.h>

static_assert(LOG_EVENTS <= 64, "the events wanted have a bit each");

uint64_t log_events_wanted(enum log_level level)
{
    if (level == LOG_SILENT)
        return 0;
    uint64_t wanted = 0;
#define WANT(name, least, always, before, after, counter)                                          \
    if (always || LOG_##least >= level)                                                            \
        wanted |= UINT64_C(1) << LOG_##name;
    LOG_EVENT_TABLE(WANT)
#undef WANT
    return wanted;
}

const char *log_event_name(enum log_event event)
{
#define NAME(name, level, always, before, after, counter) [LOG_##name] = counter,
    static const char *const names[LOG_EVENTS] = {LOG_EVENT_TABLE(NAME)};
#undef NAME
    return names[event];
}
