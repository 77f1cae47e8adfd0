/* stamp: a second is made into text once. */
#include "server/log/stamp.h"

#include <string.h>
#include <time.h>

#include "common/clock.h"

#define SECOND_NS INT64_C(1000000000)

enum {
    LOOKS = 8,       /* at most, one of which should not be interrupted */
    LOOK_NS = 20000, /* one that takes longer was */
};

void log_stamp_adjust(struct log_stamp *stamp, int64_t from_ns, int64_t day_ns, int64_t to_ns)
{
    int64_t least_ns = day_ns - to_ns, most_ns = day_ns - from_ns;
    if (stamp->is_known && stamp->offset_ns >= least_ns && stamp->offset_ns <= most_ns)
        return;
    stamp->offset_ns = least_ns + (most_ns - least_ns) / 2;
    stamp->is_known = true;
}

void log_stamp_look(struct log_stamp *stamp)
{
    int64_t from_ns, day_ns, to_ns;
    int looks = 0;
    do {
        from_ns = clock_ns(CLOCK_MONOTONIC);
        day_ns = clock_ns(CLOCK_REALTIME);
        to_ns = clock_ns(CLOCK_MONOTONIC);
    } while (to_ns - from_ns > LOOK_NS && ++looks < LOOKS);
    log_stamp_adjust(stamp, from_ns, day_ns, to_ns);
}

char *log_stamp_put(struct log_stamp *stamp, char *at, int64_t time_ns)
{
    int64_t day_ns = time_ns + stamp->offset_ns;
    time_t second = (time_t) (day_ns / SECOND_NS);
    if (!stamp->text[0] || stamp->second != second) {
        struct tm tm = {0};
        gmtime_r(&second, &tm);
        strftime(stamp->text, sizeof stamp->text, "%Y-%m-%dT%H:%M:%S", &tm);
        stamp->second = second;
    }
    at = stpcpy(at, stamp->text);
    *at++ = '.';
    int64_t us = day_ns % SECOND_NS / 1000;
    for (int64_t unit = 100000; unit > 0; unit /= 10)
        *at++ = (char) ('0' + us / unit % 10);
    *at++ = 'Z';
    return at;
}
