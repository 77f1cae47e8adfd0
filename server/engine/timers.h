/*
 * timers: which of a loop's sessions has something to do next, and when. A binary heap: arming and
 * disarming cost O(log n), the earliest one O(1), and a session that waits for nothing costs
 * nothing.
 *
 * Owned by the loop; only its owner calls these.
 */
#ifndef BANTER_SERVER_ENGINE_TIMERS_H
#define BANTER_SERVER_ENGINE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Later than every time; "no deadline". Times are CLOCK_MONOTONIC in milliseconds. */
#define TIMERS_NEVER INT64_MAX

/* Embedded in what waits. All zero is disarmed. */
struct timer {
    uint32_t place; /* 1 + index in the heap; 0: not armed */
};

struct timers_entry {
    int64_t at_ms;
    struct timer *timer;
};

/* All zero is empty. */
struct timers {
    struct timers_entry *heap; /* owned */
    size_t count, capacity;
};

/* Makes room for `count` timers in all, so that arming one of them can't fail. False: out of
 * memory. */
bool timers_reserve(struct timers *timers, size_t count);

/* Arms, or moves an armed timer to another time. timers_reserve() has made room. */
void timers_arm(struct timers *timers, struct timer *timer, int64_t at_ms);

/* Disarms; a timer that is not armed is left alone. */
void timers_disarm(struct timers *timers, struct timer *timer);

/* When an armed timer is due; TIMERS_NEVER when it is not armed. */
int64_t timers_due(const struct timers *timers, const struct timer *timer);

/* When the earliest is due; TIMERS_NEVER when none is armed. */
int64_t timers_next(const struct timers *timers);

/* Disarms and returns the earliest timer if it is due at `now_ms`, else NULL. */
struct timer *timers_take_due(struct timers *timers, int64_t now_ms);

void timers_fini(struct timers *timers);

#endif
