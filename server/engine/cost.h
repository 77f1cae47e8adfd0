/*
 * cost: how much a session's requests cost, as far as its last ones show. A byte in the session
 * that decides where its next request runs: in the loop, or in the executor.
 *
 * A session that was slow once is believed to be quick again with its first quick request. If its
 * next slow one then stalls the loop, it takes two in a row, the next time four, and so on: a
 * session that mixes both costs a few stalls, and not one for each slow request.
 *
 * What counts is the CPU time of the thread that ran the handler, not the time that passed: a
 * handler that was preempted for long is still quick.
 */
#ifndef BANTER_SERVER_ENGINE_COST_H
#define BANTER_SERVER_ENGINE_COST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum cost {
    COST_UNKNOWN, /* no request was measured yet */
    COST_QUICK,
    /* quick, except for one call that stalled its loop, and not for long. A machine that pauses for
     * a moment looks like that, so it takes two in a row to be believed */
    COST_DOUBTED,
    /* of a job that is no request: a step of something for which somebody waits, as a handshake. It
     * computes for some milliseconds at most, and never waits */
    COST_STEP,
    COST_SLEEPS,   /* waits in the handler and needs next to no CPU time */
    COST_COMPUTES, /* and above: plus the binary logarithm of the quarters of a ms it takes */
    /* Quick lately, but not often enough in a row: plus how many more it takes. */
    COST_WAS_SLEEPING = 32,
    COST_WAS_COMPUTING = 48,
    COST_END = 64,
};

enum { COST_MAX_RELAPSES = 5 };

/* The measurement of one call. */
struct call_sample {
    pthread_t thread; /* that made the call */
    int64_t cpu_ns;   /* its CPU time at the beginning */
    int64_t begun_ns; /* CLOCK_MONOTONIC */
    long waits;       /* at the beginning: how often the thread had waited for something */
    bool has_waited;  /* as seen from outside, if `waits` was not counted */
};

/* The calling thread begins a call. */
void call_sample_begin(struct call_sample *sample);

/* Describes a call that was already under way when it was first seen from outside. */
void call_sample_describe(struct call_sample *sample, pthread_t thread, int64_t cpu_ns,
                          bool has_waited);

/* The cost class of a session that was in class `before`, after a call that ends now. In the thread
 * that made the call. */
enum cost call_sample_end(const struct call_sample *sample, enum cost before);

/* What is known of a session of class `before` when a call of this class is over; `relapses`: how
 * often its calls have stalled their loop, COST_MAX_RELAPSES at most. */
enum cost cost_learn(enum cost before, enum cost call, unsigned relapses);

/* The class that a session's next call belongs to in the executor: below COST_WAS_SLEEPING. */
enum cost cost_class(enum cost cost);

/* About what the next request of a session of COST_COMPUTES and above costs, in microseconds. */
int64_t cost_us(enum cost cost);

#endif
