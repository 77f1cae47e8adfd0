/*
 * clock: the time as a number. Deadlines are in milliseconds of CLOCK_MONOTONIC, measurements in
 * nanoseconds.
 */
#ifndef BANTER_COMMON_CLOCK_H
#define BANTER_COMMON_CLOCK_H

#include <poll.h>
#include <stdint.h>
#include <time.h>

/* Later than every time: no deadline. */
#define CLOCK_NEVER INT64_MAX

/* 0 if the clock can't be read, such as that of a thread that has ended. */
static inline int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        return 0;
    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t clock_ms(void) { return clock_ns(CLOCK_MONOTONIC) / 1000000; }

/* Of two times, the one that comes first; the other one. */
static inline int64_t clock_earlier(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t clock_later(int64_t a, int64_t b) { return a > b ? a : b; }

/* So many milliseconds, 0 at least. */
static inline struct timespec clock_timespec(int64_t ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

/* A wait for a deadline that is `left_ms` away, or over, as poll(2) takes it. */
static inline int clock_wait_ms(int64_t left_ms)
{
    return left_ms <= 0 ? 0 : left_ms < INT32_MAX ? (int) left_ms : INT32_MAX;
}

/* The shorter of two waits as poll(2) takes them: milliseconds, or -1 for ever. */
static inline int clock_shorter_ms(int a, int b) { return a < 0 || (b >= 0 && b < a) ? b : a; }

/* A wait that ends this much later than it should was no wait: the process, or the machine, has
 * stood still. */
enum { CLOCK_LATE_MS = 100 };

/* For how long it has, if a wait that should have ended at `at_ms`, or before, ends now. */
static inline int64_t clock_paused_ms(int64_t now_ms, int64_t at_ms)
{
    int64_t late_ms = now_ms - at_ms;
    return late_ms > CLOCK_LATE_MS ? late_ms : 0;
}

/* The same of a thread that has not waited since `begun_ms`, though it has little to do: deadlines
 * that were set meanwhile were set by the time at which it began, so all of it counts. */
static inline int64_t clock_batch_paused_ms(int64_t now_ms, int64_t begun_ms)
{
    enum { LONG_BATCH_MS = 1000 };
    int64_t batch_ms = now_ms - begun_ms;
    return batch_ms > LONG_BATCH_MS ? batch_ms : 0;
}

/* How long to wait, in ms as poll(2) takes them, for a deadline that is `left_ms` away. If it is
 * not near, a part of that, so that it shows when the process stands still: what is not seen is a
 * part of the time that is left. */
static inline int clock_part_ms(int64_t left_ms)
{
    enum { PARTS = 4, SHORT_MS = 100 };
    return clock_wait_ms(left_ms / PARTS > SHORT_MS ? left_ms / PARTS : left_ms);
}

/* As poll(2), for a part of the time until `*due_ms`, which comes later if the process stands still
 * meanwhile: 0 does not say that it has come. CLOCK_NEVER: for ever. */
static inline int clock_poll(struct pollfd *fds, nfds_t count, int64_t *due_ms)
{
    if (*due_ms == CLOCK_NEVER)
        return poll(fds, count, -1);
    int64_t begun_ms = clock_ms();
    int wait_ms = clock_part_ms(*due_ms - begun_ms);
    int ready = poll(fds, count, wait_ms);
    *due_ms += clock_paused_ms(clock_ms(), begun_ms + wait_ms);
    return ready;
}

#endif
