/* thread_state: what the kernel tells of a thread. */
#ifndef BANTER_SERVER_ENGINE_THREAD_STATE_H
#define BANTER_SERVER_ENGINE_THREAD_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether a thread of the process waits for something, rather than for a core. False also where it
 * can't be told. From any thread; costs a look into /proc. */
bool thread_state_sleeps(pid_t thread);

/* How long a thread has waited for a processor, in nanoseconds, in all its life. 0 where the kernel
 * does not count that. */
int64_t thread_state_waited_ns(pid_t thread);

#endif
