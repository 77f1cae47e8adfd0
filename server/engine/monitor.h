/*
 * handover: how a loop goes on while a handler does not return.
 *
 * A call of a handler is published in loop->call, by number, so that a number never comes twice (no
 * ABA). A watcher looks at each loop. Where it sees the same call again a millisecond later, and the
 * owner's CPU clock shows that it runs (a pre-empted owner is no stall) or the kernel tells that it
 * sleeps, or ten looks have passed, it takes the loop. Ending a call and taking the loop are
 * both compare-and-swaps of loop->call from the call's number to 0: exactly one wins.
 *
 * It looks every millisecond while there are calls of which nothing is known, for each look takes a
 * core from somebody. While all that ask have been quick so far, it looks every four, and again after
 * one where it has seen a call.
 *
 * When the taker wins, it gives the loop to a spare. That moves what the former owner had finished
 * into the session, then lets the former owner go; which keeps that one request and answers it
 * late, as any handler may.
 */
#ifndef BANTER_SERVER_ENGINE_MONITOR_H
#define BANTER_SERVER_ENGINE_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

struct scaler;
struct pool;
struct log;
struct loop;
struct executor;
struct monitor;

/* ---- around a call, in the loop's owner ---- */

/* Publishes that a handler is being called, and returns the call's number. All that the taker
 * will read must be in place. */
uint64_t loop_call_begin(struct loop *loop);

/* The handler has returned (or, in the watcher: its loop is to be taken). False: the other side
 * was first, and the loop must not be touched any more (or: stays where it is). */
bool loop_call_end(struct loop *loop, uint64_t call);

/* ---- the watcher ---- */

/* Starts watching the loops, before they run, what they give to `offload`, and how many of them are
 * in use; spares come from `crew`. `stall_ms` is how long a call may run (at least 1). NULL with
 * errno set: then there is no hand-over, and all loops stay in use. */
struct monitor *monitor_start(struct scaler *scaler, struct pool *pool, struct executor *executor,
                              unsigned stall_ms, struct log *log);

/* Ends the watcher's thread: no loop is taken after this. NULL is left alone. */
void monitor_stop(struct monitor *monitor);

/* Gives back a watcher that was stopped; no loop runs any more. NULL is left alone. */
void monitor_free(struct monitor *monitor);

/* Tells the watcher that a batch begins or is over, in the loop's owner. It sleeps while no loop
 * has one. `watcher` may be NULL. */
void monitor_batch_begins(struct monitor *monitor, struct loop *loop);
void monitor_batch_ends(struct loop *loop);

/* Tells the watcher that a request is taken of which nothing is known, in the loop's owner. `watcher`
 * may be NULL. */
void monitor_expect(struct monitor *monitor);

/* Lets the watcher begin what was offloaded, at once. From any thread. */
void monitor_wake(struct monitor *monitor);

/* A clock that goes on with the watcher's looks, in ms; 0 for NULL. */
unsigned monitor_clock_ms(const struct monitor *monitor);

#endif
