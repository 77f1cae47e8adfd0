/*
 * processors: those that the process may run on.
 */
#ifndef BANTER_SERVER_ENGINE_CPUS_H
#define BANTER_SERVER_ENGINE_CPUS_H

#include <stdint.h>

/* How many there are; at least 1. From any thread. */
unsigned cpus_count(void);

/* How long they have had nothing to do, all of them together, since the machine was started, in
 * nanoseconds; counted in ticks of 10 ms, most often. -1 where it can't be told. From any thread; costs a
 * look into /proc. */
int64_t cpus_idle_ns(void);

#endif
