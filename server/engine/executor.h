/*
 * offload: requests that are known to take long, run outside of the loops.
 *
 * The hand-over (server/engine/monitor.h) saves a loop from a handler that takes long, but only after it
 * has stood still for some milliseconds, and it bounds nothing: sixty-four handlers that compute
 * are sixty-four threads that take the cores from the loops. So what is known to take long
 * (server/engine/cost.h) is not called in the loop at all. The loop's owner submits it; threads of the
 * crew run it, and answer through the loop's inbox as every late answer comes.
 *
 * Of those that compute, as many *run* at a time as there are cores; the others wait, the cheaper
 * ones first, but nobody for ever. A call that runs has a token. It loses the token, and the next
 * one begins, when it is over, when it sleeps, or when it has had the core for a tenth of a second:
 * it goes on all the same. Calls of sessions that are known to sleep need no token, and neither do
 * those of which nothing is known, so that a newcomer never waits behind the others. A call that
 * has lost its loop counts as if it had a token.
 *
 * The threads of those that compute, or may, give way to all others (server/engine/scheduling.h): the loops'
 * owners run when they have something to do, however many compute.
 *
 * An owner only ever pushes onto an inbox: the lock is for the crew's threads and the watcher.
 */
#ifndef BANTER_SERVER_ENGINE_EXECUTOR_H
#define BANTER_SERVER_ENGINE_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct pool;
struct executor;
struct request;

/* A thread's part in it; embedded in a crew's thread, all zero at first. Guarded by the offload's
 * lock. */
struct permit {
    struct permit *next, *previous; /* among those that have a token */
    bool has_token;
    bool gives_way; /* the thread has given way to all others; never taken back */
    pid_t thread;
    clockid_t cpu_clock; /* of the thread */
    int64_t begun_ns;    /* its time when the call began */
    int64_t seen_ns;     /* its time at the last look */
    unsigned still;      /* looks in a row at which it had not computed */
};

/* `running` calls may compute at a time, in threads of `crew`. NULL when memory is out. */
struct executor *executor_new(unsigned running, struct pool *pool);

/* Gives back what nobody runs any more; requests that still wait are released. NULL is left
 * alone. */
void executor_free(struct executor *executor);

/* Hands a request over, in the owner of its loop; it was prepared by request_offload(), and
 * request->cost tells what is known of its session. True: somebody has to call executor_dispatch()
 * soon. */
bool executor_submit(struct executor *executor, struct request *request);

/* ---- in a thread of the crew ---- */

/* Runs a request, then others, until none may be begun. `request` is NULL where the thread comes
 * from a call that has lost its loop, and has run already. */
void executor_run(struct executor *executor, struct permit *run, struct request *request);

/* ---- in the watcher ---- */

/* A call of `thread` has lost its loop, and computes on. */
void executor_adopt(struct executor *executor, struct permit *run, pid_t thread,
                   clockid_t cpu_clock);

/* Takes their tokens from those that sleep or have had them for long. */
void executor_sample(struct executor *executor);

/* Begins what waits and may be begun. */
void executor_dispatch(struct executor *executor);

/* Whether there is something to look at. */
bool executor_is_busy(struct executor *executor);

/* Whether more may compute than there are cores. */
bool executor_is_crowded(const struct executor *executor);

#endif
