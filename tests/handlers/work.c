/* work: a chain of shifts, each of which needs the one before it. */
#include "tests/handlers/work.h"

#include <time.h>

void work(uint64_t iterations)
{
    uint64_t state = 88172645463325252u;
    for (uint64_t i = 0; i < iterations; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        __asm__ volatile("" : "+r"(state)); /* so that the compiler leaves each iteration in */
    }
}

uint64_t work_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}
