/* clock: CLOCK_MONOTONIC in milliseconds, which is what every deadline is counted in. */
#ifndef BANTER_COMMON_CLOCK_H
#define BANTER_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
