/*
 * pace: how long a program takes for a request, so that no more requests are given to it at once
 * than it answers within a millisecond: the last one's reply, and those of others that wait, are
 * not delayed by more.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_PACE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_PACE_H

#include <stdint.h>

/* All zero: nothing is known yet. */
struct pace {
    int64_t cost_ns; /* of a request; a mean in which the last turns count most; 0: not known */
};

/* A turn with so many requests has taken so long. */
static inline void pace_add(struct pace *pace, int64_t turn_us, unsigned requests)
{
    int64_t cost_ns = (turn_us > 0 ? turn_us : 1) * 1000 / requests;
    /* A request that took long may be followed by others: that is believed at once. */
    if (!pace->cost_ns || cost_ns >= 4 * pace->cost_ns)
        pace->cost_ns = cost_ns;
    else
        pace->cost_ns += (cost_ns - pace->cost_ns) / 2;
}

/* How many requests fit, at least 1 and at most `max`. */
static inline unsigned pace_fit(const struct pace *pace, unsigned max)
{
    enum { ROOM_NS = 1000000 };
    int64_t fit = pace->cost_ns ? ROOM_NS / pace->cost_ns : 1;
    return fit < 1 ? 1 : fit < max ? (unsigned) fit : max;
}

#endif
