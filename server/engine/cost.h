/*
 * cost: how long a session's requests take, as far as its last ones tell. A byte in the session,
 * that decides where its next request is run: in the loop, or offloaded (server/engine/executor.h).
 *
 * What counts is the processor time of the thread that ran the handler, not the time that passed: a
 * handler that was pre-empted for long is still quick.
 */
#ifndef BANTER_SERVER_ENGINE_COST_H
#define BANTER_SERVER_ENGINE_COST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum cost {
    COST_UNKNOWN, /* it has not asked yet */
    COST_QUICK,
    /* quick, but one call has stalled its loop, and not for long. A machine that stops for a moment
     * looks like that, so it takes two in a row to be believed */
    COST_DOUBTED,
    COST_SLEEPS,   /* waits in the handler, and needs next to no processor time */
    COST_COMPUTES, /* and above: plus the binary logarithm of the quarters of a ms it takes */
};

/* What a call is measured by. */
struct call_sample {
    pthread_t thread; /* that made the call */
    int64_t cpu_ns;   /* of the thread, at the beginning */
    int64_t begun_ns; /* CLOCK_MONOTONIC */
    long waits;       /* of the thread, at the beginning: how often it has waited for something */
    bool has_waited;  /* seen from outside, where `waits` was not counted */
};

/* The calling thread begins a call. */
void call_sample_begin(struct call_sample *sample);

/* Describes a call that was first seen from outside when it was under way. */
void call_sample_describe(struct call_sample *sample, pthread_t thread, int64_t cpu_ns, bool has_waited);

/* The cost of a session whose cost was `before`, by a call that ends now, in the thread that made
 * it. */
enum cost call_sample_end(const struct call_sample *sample, enum cost before);

/* About what the next request of a session of COST_COMPUTES and above costs, in microseconds. */
int64_t cost_us(enum cost cost);

#endif
