/*
 * work: what a heavy request of a benchmark does: a fixed amount of computation, counted in
 * iterations. Neither the wall clock nor the thread's own shortens it, so that how many get done
 * tells what a server's rules cost. And the clock that requests are stamped with.
 */
#ifndef BANTER_TESTS_HANDLERS_WORK_H
#define BANTER_TESTS_HANDLERS_WORK_H

#include <stdint.h>

/* Each iteration takes the same few processor cycles; no memory is touched. */
void work(uint64_t iterations);

/* CLOCK_MONOTONIC. */
uint64_t work_clock_ns(void);

#endif
