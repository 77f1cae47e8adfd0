/*
 * events: see events.h.
 */
#include "server/log/events.h"

#include <assert.h>

static_assert(LOG_EVENTS <= 64, "the events wanted have a bit each");

/* Sizes are constants, which is what a line costs least with. */
#define WORDS(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define NONE
#define TEXT(key, lead) {key, LOG_FIELD_TEXT, WORDS(lead)},
#define NUMBER(key, lead) {key, LOG_FIELD_NUMBER, WORDS(lead)},
#define OPTIONAL(key, lead) {key, LOG_FIELD_OPTIONAL, WORDS(lead)},
#define DESCRIBE(name, level, always, before, fields, after, event, counter)                       \
    [LOG_##name] = {event, counter, LOG_##level, always, WORDS(before), WORDS(after), {fields{0}}},
static const struct log_description descriptions[LOG_LINES] = {LOG_EVENT_TABLE(DESCRIBE)
                                                                   LOG_LINE_TABLE(DESCRIBE)};
#undef DESCRIBE
#undef OPTIONAL
#undef NUMBER
#undef TEXT
#undef NONE
#undef WORDS

const struct log_description *log_describe(enum log_event event) { return &descriptions[event]; }

enum log_severity log_severity(const struct log_description *description)
{
    if (description->always || description->level == LOG_CONNECTIONS)
        return LOG_SEVERITY_INFO;
    return description->level == LOG_MESSAGES ? LOG_SEVERITY_DEBUG : LOG_SEVERITY_ERROR;
}

uint64_t log_events_wanted(enum log_level level)
{
    uint64_t wanted = 0;
    for (int event = 0; event < LOG_EVENTS && level != LOG_SILENT; event++)
        if (descriptions[event].always || descriptions[event].level >= level)
            wanted |= UINT64_C(1) << event;
    return wanted;
}

/* A constant, since the writer asks for each record. */
uint64_t log_events_limited(void)
{
    uint64_t limited = 0;
#define LIMIT(name, least, always, before, fields, after, event, counter)                          \
    if (LOG_##least == LOG_ERRORS && !(always) && LOG_##name != LOG_WORKER &&                      \
        LOG_##name != LOG_RELOAD_FAILED)                                                           \
        limited |= UINT64_C(1) << LOG_##name;
    LOG_EVENT_TABLE(LIMIT)
#undef LIMIT
    return limited;
}

uint64_t log_events_always(void)
{
    uint64_t always = 0;
    for (int event = 0; event < LOG_EVENTS; event++)
        always |= (uint64_t) descriptions[event].always << event;
    return always;
}
