/*
 * nats/quota: how many requests a worker machine takes at a time. Beyond that it is busy, and
 * others get them.
 *
 * As many as the handler has places, and as many again that wait: with more, each would wait here
 * while others are idle. A handler that is quick is given more than that, since a request is on its
 * way for longer than in its place, and one that is refused is away for some milliseconds. As long
 * as each has its answer soon, one more is taken for each answer that comes while others have to be
 * refused. One that comes late takes an eighth of them back.
 *
 * Pure: no clock, no locks.
 */
#ifndef BANTER_SERVER_NATS_QUOTA_H
#define BANTER_SERVER_NATS_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

enum { QUOTA_MOST = 1024, QUOTA_SOON_US = 10000 };

struct quota {
    unsigned least, limit;
    bool refused; /* one, since the limit has changed */
};

/* `places`: how many requests the handler works on at a time, at least 1. */
void quota_init(struct quota *quota, unsigned places);

/* The handler has other places now. */
void quota_set_places(struct quota *quota, unsigned places);

/* Whether one more is taken if so many are there. */
bool quota_takes(struct quota *quota, unsigned taken);

/* One has its answer, so long after it came. */
void quota_answered(struct quota *quota, int64_t microseconds);

#endif
