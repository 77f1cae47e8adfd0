/* recent: a ring of marks, of which the oldest is a minute old. */
#include "server/admin/recent.h"

int64_t recent_mark(struct recent *recent, const struct latency *so_far, int64_t now_ms)
{
    if (recent->count == 0 || now_ms >= recent->next_ms) {
        recent->marks[recent->count++ % RECENT_MARKS] = *so_far;
        recent->next_ms = now_ms + RECENT_MARK_MS;
    }
    return recent->next_ms;
}

void recent_minute(const struct recent *recent, const struct latency *so_far,
                   struct latency *minute)
{
    *minute = *so_far;
    if (recent->count >= RECENT_MARKS) /* else all of it is younger */
        latency_subtract(minute, &recent->marks[recent->count % RECENT_MARKS]);
}
