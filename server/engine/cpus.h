/*
 * cpus: the cores that this process may run on.
 */
#ifndef BANTER_SERVER_ENGINE_CPUS_H
#define BANTER_SERVER_ENGINE_CPUS_H

#include <stdint.h>

/* How many there are; at least 1. From any thread. */
unsigned cpus_count(void);

/* How long they have been idle, all of them together, since the machine was started, in nanoseconds
 * (usually counted in ticks of 10 ms); -1 if unknown. From any thread; reads a file of /proc. */
int64_t cpus_idle_ns(void);

#endif
