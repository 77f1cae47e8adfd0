/*
 * monitor: a thread that watches the loops, so that they go on while a handler does not return.
 *
 * It samples each loop. If it sees the same call again a millisecond later, and the owner's CPU
 * clock shows that it runs (a preempted owner is no stall), or the kernel says that it sleeps, or
 * ten samples have passed, it takes the loop: the hand-over. It gives the loop to a spare thread of
 * the pool, and sees to it that there are two spares for each loop before they are needed; if they
 * can't be had, loops don't make the calls that might need them (enum loop_calls). The spare moves
 * what the former owner had finished into the session, then lets the former owner go, which keeps
 * that one request and answers it late, as any handler may.
 *
 * It samples every millisecond while there are calls of unknown cost, since each sample takes a
 * core from somebody. While all sessions that ask have been quick so far, it samples every four,
 * and again after one if it has seen a call. While no loop is in a batch it sleeps.
 */
#ifndef BANTER_SERVER_ENGINE_MONITOR_H
#define BANTER_SERVER_ENGINE_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

struct executor;
struct log;
struct loop;
struct monitor;
struct pool;
struct scaler;

/* What it watches and works with; all of it outlives the monitor. */
struct monitor_config {
    struct scaler *scaler;     /* and its loops, which don't run yet */
    struct pool *pool;         /* where spares come from */
    struct executor *executor; /* what takes long is given to it */
    struct log *log;
    unsigned stall_ms; /* how long a call may run; at least 1 */
};

/* NULL with errno set: there is no hand-over then. */
struct monitor *monitor_start(const struct monitor_config *config);

/* Ends its thread: no loop is taken after this. NULL is left alone. */
void monitor_stop(struct monitor *monitor);

/* Gives back a monitor that was stopped; no loop runs any more. NULL is left alone. */
void monitor_free(struct monitor *monitor);

/* Lets it begin what was submitted to the executor, at once. From any thread. */
void monitor_wake(struct monitor *monitor);

/* How many loops it has taken so far. From any thread; 0 for NULL. */
uint64_t monitor_handovers(const struct monitor *monitor);

/* ---- in a loop's owner; `monitor` may be NULL ---- */

/* A batch begins or is over. */
void monitor_batch_begins(struct monitor *monitor, struct loop *loop);
void monitor_batch_ends(struct loop *loop);

/* A request of a session of unknown cost is taken. */
void monitor_expect(struct monitor *monitor);

/* A clock that goes on with the monitor's samples, in ms; it costs a load. 0 for NULL. */
unsigned monitor_clock_ms(const struct monitor *monitor);

#endif
