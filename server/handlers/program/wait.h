/*
 * wait: how the supervisor waits for events, until the next look or limit, and what the time is
 * then. A wait that ends too late was none: the whole process has stood still, and the instances'
 * clock with it.
 *
 * Only the supervisor's thread calls these, except for init, open and fini.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_WAIT_H
#define BANTER_SERVER_HANDLERS_PROGRAM_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/handlers/program/instance.h"

struct epoll_event;

struct wait {
    struct instances *instances;
    struct channel timer; /* a timerfd, for looks: they are due within microseconds */
    int64_t timer_us;     /* what it is set to, by CLOCK_MONOTONIC; CLOCK_NEVER: it is not set */
    int64_t look_ms;      /* when the look under way at what epoll reports began */
    unsigned look_events; /* that it has reported so far */
};

void wait_init(struct wait *wait, struct instances *instances);

/* False with errno set; wait_fini() must follow in both cases. */
bool wait_open(struct wait *wait);

void wait_fini(struct wait *wait);

/* The timer has gone off. */
void wait_timer_is_over(struct wait *wait);

/* Waits for events, until a look is due (by the instances' clock in us; 0: at once; CLOCK_NEVER:
 * none is) or instances.due_ms has come, and sets the clock. Returns how many events there are, or
 * -1. */
int wait_for_events(struct wait *wait, int64_t look_due_us, struct epoll_event *events, int max);

/* So many events were seen to, and there may be more: moves instances.looked_ms on if each channel
 * has had its turn. */
void wait_end_look(struct wait *wait, bool may_be_more, unsigned count);

#endif
