/*
 * nats/chance: numbers that need not be secret, for jitter and choices. One thread at a time.
 */
#ifndef BANTER_SERVER_NATS_CHANCE_H
#define BANTER_SERVER_NATS_CHANCE_H

#include <stdint.h>
#include <sys/random.h>

struct chance {
    uint64_t state; /* not 0 */
};

static inline void chance_init(struct chance *chance)
{
    chance->state = 0;
    (void) !getrandom(&chance->state, sizeof chance->state, GRND_NONBLOCK);
    chance->state |= 1;
}

/* A number from 0 to count - 1; count is at least 1. (xorshift64) */
static inline unsigned chance_below(struct chance *chance, unsigned count)
{
    uint64_t state = chance->state;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    chance->state = state;
    return (unsigned) ((state >> 32) * count >> 32);
}

#endif
