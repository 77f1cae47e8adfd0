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

uint64_t log_events_limited(void)
{
    uint64_t limited = 0;
#define LIMIT(name, least, always, before, after, counter)                                         \
    if (LOG_##least == LOG_ERRORS && !(always) && LOG_##name != LOG_WORKER)                        \
        limited |= UINT64_C(1) << LOG_##name;
    LOG_EVENT_TABLE(LIMIT)
#undef LIMIT
    return limited;
}

uint64_t log_events_always(void)
{
    uint64_t events = 0;
#define ADD(name, least, always, before, after, counter)                                           \
    if (always)                                                                                    \
        events |= UINT64_C(1) << LOG_##name;
    LOG_EVENT_TABLE(ADD)
#undef ADD
    return events;
}

const char *log_event_name(enum log_event event)
{
#define NAME(name, level, always, before, after, counter) [LOG_##name] = counter,
    static const char *const names[LOG_EVENTS] = {LOG_EVENT_TABLE(NAME)};
#undef NAME
    return names[event];
}
