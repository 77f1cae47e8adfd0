/*
 * executor: runs jobs that are known to take long, outside of the loops.
 *
 * The hand-over (server/engine/monitor.h) saves a loop from a call that takes long, but only after
 * it has stood still for some milliseconds, and it bounds nothing: sixty-four handlers that compute
 * are sixty-four threads that take the cores from the loops. So what is known to take long
 * (server/engine/cost.h) is not called in the loop at all. The loop's owner submits it; threads of
 * the pool run it.
 *
 * At most as many jobs compute at a time as there are permits, one for each core; the others wait,
 * the cheaper ones first, but none for ever. A job that runs loses its permit, and the next one
 * begins, when it is over, when it sleeps, or when it has had a core for a tenth of a second; it
 * goes on all the same. Jobs that are known to sleep need no permit, and neither do those of
 * unknown cost, so that a newcomer never waits behind the others. A call that has lost its loop
 * counts as if it had one, and so does one that was known to sleep and computes.
 *
 * Calls that hang take threads for good. So those that are known to sleep get most of the threads,
 * but not all: the others are for newcomers. The pool's reserve is for loops; only when it is so
 * small that loops may call nothing, jobs that are known to be quick are run in what is left of it.
 *
 * The threads of those that compute, or may, have the lowest priority (server/engine/thread.h): the
 * loops' owners run whenever they have something to do, however many compute.
 *
 * Steps (COST_STEP) compute for a moment at the priority of the loops, beside the permits: whoever
 * submits them submits no more at a time than there are cores. They never hang, and threads are
 * kept for them in the pool, so that whatever else hangs does not keep them waiting.
 *
 * An owner only ever pushes onto an inbox; the lock is for the pool's threads and the monitor.
 */
#ifndef BANTER_SERVER_ENGINE_EXECUTOR_H
#define BANTER_SERVER_ENGINE_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

struct executor;
struct job;
struct job_ops;
struct pool;
struct pool_thread;

/* `permits` jobs may compute at a time, in threads of `pool`, whose work this becomes. `ops`
 * outlives it. NULL: out of memory. */
struct executor *executor_new(unsigned permits, struct pool *pool, const struct job_ops *ops);

/* Gives everything back; jobs that still wait are released. Nobody runs any more. NULL is left
 * alone. */
void executor_free(struct executor *executor);

/* Takes a job whose `cost` says what is known of it. From any thread. True: somebody has to call
 * executor_dispatch() soon (monitor_wake()). */
bool executor_submit(struct executor *executor, struct job *job);

/* How many jobs were submitted so far, how many of them wait now, and how many compute. From any
 * thread. */
uint64_t executor_submitted(const struct executor *executor);
unsigned executor_waiting(const struct executor *executor);
unsigned executor_computing(const struct executor *executor);

/* Begins what waits and may begin. `in_calls`: how many loops are in calls now, or may be, each of
 * which may need a spare. False: one that needs no permit got no thread, and this has to be called
 * again. By the monitor, or by a thread for whose jobs the way through the monitor is too long; not
 * by a loop's owner, since it waits for locks. */
bool executor_dispatch(struct executor *executor, unsigned in_calls);

/* ---- in the monitor ---- */

/* The call of this thread has lost its loop, and computes on, or sleeps. */
void executor_adopt(struct executor *executor, struct pool_thread *thread, bool is_asleep);

/* Takes their permits from those that sleep or have had them for long; finds those that compute
 * without one. */
void executor_sample(struct executor *executor);

/* Whether there is something to sample or to begin. */
bool executor_is_busy(struct executor *executor);

/* Whether more compute than there are permits, since calls have lost their loops. */
bool executor_is_crowded(const struct executor *executor);

#endif
