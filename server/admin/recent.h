/*
 * recent: how long requests took in the last minute. It keeps what had been counted every five
 * seconds, so that a request is forgotten between a minute and 65 seconds after its reply.
 *
 * In the admin's thread, or any one thread.
 */
#ifndef BANTER_SERVER_ADMIN_RECENT_H
#define BANTER_SERVER_ADMIN_RECENT_H

#include <stdint.h>

#include "common/latency.h"

enum { RECENT_MARK_MS = 5000, RECENT_MARKS = 60000 / RECENT_MARK_MS + 1 };

/* All zero: nothing was counted before. */
struct recent {
    struct latency marks[RECENT_MARKS]; /* a ring: what had been counted then */
    unsigned count;                     /* marks so far */
    int64_t next_ms;                    /* when the next one is due */
};

/* Keeps what was counted so far if it is time for that. Returns when it is time again; called no
 * later than then, on one clock in milliseconds. */
int64_t recent_mark(struct recent *recent, const struct latency *so_far, int64_t now_ms);

/* What of all that was counted so far belongs to the last minute. */
void recent_minute(const struct recent *recent, const struct latency *so_far,
                   struct latency *minute);

#endif
