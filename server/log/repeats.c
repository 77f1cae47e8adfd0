/* repeats: see repeats.h. */
#include "server/log/repeats.h"

#define SECOND_NS INT64_C(1000000000)

bool repeats_take(struct repeats *repeats, enum log_event event, int64_t time_ns)
{
    if (!(log_events_limited() >> event & 1))
        return true;
    int64_t *begin_ns = &repeats->kinds[event].begin_ns;
    if (repeats->kinds[event].written == 0 || time_ns - *begin_ns >= SECOND_NS) {
        *begin_ns = time_ns;
        repeats->kinds[event].written = 0;
    }
    if (repeats->kinds[event].written < REPEATS_WRITTEN) {
        repeats->kinds[event].written++;
        return true;
    }
    if (repeats_due_ns(repeats) > *begin_ns + SECOND_NS)
        repeats->due_ns = *begin_ns + SECOND_NS;
    repeats->kinds[event].left_out++;
    repeats->kinds_left_out |= UINT64_C(1) << event;
    return false;
}

int64_t repeats_due_ns(const struct repeats *repeats)
{
    return repeats->kinds_left_out ? repeats->due_ns : INT64_MAX;
}

static void find_due(struct repeats *repeats)
{
    repeats->due_ns = INT64_MAX;
    for (int event = 0; event < LOG_EVENTS; event++) {
        int64_t end_ns = repeats->kinds[event].begin_ns + SECOND_NS;
        if (repeats->kinds_left_out >> event & 1 && end_ns < repeats->due_ns)
            repeats->due_ns = end_ns;
    }
}

bool repeats_next(struct repeats *repeats, int64_t now_ns, enum log_event *event,
                  uint64_t *left_out)
{
    if (!repeats->kinds_left_out || repeats->due_ns > now_ns)
        return false;
    int found = 0;
    while (!(repeats->kinds_left_out >> found & 1) ||
           repeats->kinds[found].begin_ns + SECOND_NS > now_ns)
        found++;
    *event = (enum log_event) found;
    *left_out = repeats->kinds[found].left_out;
    repeats->kinds[found].left_out = 0;
    repeats->kinds_left_out &= ~(UINT64_C(1) << found);
    find_due(repeats);
    return true;
}
