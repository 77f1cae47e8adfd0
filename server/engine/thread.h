/*
 * thread: who a thread is, what the kernel reports about it, and how the kernel schedules it.
 *
 * Nothing here needs a privilege. A kernel without time slices for normal threads (before Linux
 * 6.12) goes by the priority alone.
 */
#ifndef BANTER_SERVER_ENGINE_THREAD_H
#define BANTER_SERVER_ENGINE_THREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct thread {
    pthread_t id;
    clockid_t cpu_clock; /* its CPU time */
    pid_t tid;           /* the kernel's number for it */
};

/* Whether a thread of this process waits for something other than a core. Also false if the kernel
 * does not say. From any thread; opens a file in /proc. */
bool thread_is_asleep(pid_t tid);

/* How long a thread has waited for a core since it began, in nanoseconds; 0 if the kernel does not
 * count that. From any thread; opens a file in /proc. */
int64_t thread_waited_ns(pid_t tid);

/* Tells the kernel that the calling thread works in short bursts and should run when it can. */
void thread_sched_interactive(void);

/* Gives a thread of this process the lowest priority: it computes for long and yields to all
 * others. Only a privileged process could undo that, so the thread must not be used for anything
 * else. */
void thread_sched_background(pid_t tid);

#endif
