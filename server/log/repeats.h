/*
 * repeats: errors of a kind are written ten a second, and then counted, so that what goes wrong a
 * thousand times a second does not fill a disk. A second begins with a kind's first error.
 *
 * For the writer alone. No I/O, and no clock: times are those of the records.
 */
#ifndef BANTER_SERVER_LOG_REPEATS_H
#define BANTER_SERVER_LOG_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/log/events.h"

enum { REPEATS_WRITTEN = 10 };

/* All zero: nothing has happened yet. */
struct repeats {
    struct {
        int64_t begin_ns; /* of its second */
        unsigned written; /* in it */
        uint64_t left_out;
    } kinds[LOG_EVENTS];
    uint64_t kinds_left_out; /* a bit for each */
    int64_t due_ns;          /* the first end of a second with some left out; if there is any bit */
};

/* Whether an event of this time is written. */
bool repeats_take(struct repeats *repeats, enum log_event event, int64_t time_ns);

/* When repeats_next() has something, at the earliest; INT64_MAX: nothing was left out. */
int64_t repeats_due_ns(const struct repeats *repeats);

/* Whether some kind's second is over at `now_ns`, and events of it were left out: which, and how
 * many. They count no more then. */
bool repeats_next(struct repeats *repeats, int64_t now_ns, enum log_event *event,
                  uint64_t *left_out);

#endif
