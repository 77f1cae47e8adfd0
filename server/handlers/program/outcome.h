/*
 * outcome: what has come of a turn, or of a start, for the worker to act on. The first one counts
 * until it is taken.
 *
 * The files between a worker and its instance set it, turns.h returns it.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_OUTCOME_H
#define BANTER_SERVER_HANDLERS_PROGRAM_OUTCOME_H

#include <stdio.h>

#include "server/handlers/program/state.h"

enum turn_outcome {
    TURN_GOES_ON,
    TURN_READY,   /* the instance has started: it waits for its first request */
    TURN_OVER,    /* the request is answered, and the instance waits for the next one */
    TURN_REPLACE, /* the same, but another instance should take its place: workers.why */
    TURN_BROKEN,  /* it can't go on, and may be about to end: worker.broken */
    TURN_LOST,    /* it can't be trusted any more, or has ended: workers.why */
};

static inline void outcome_set(struct worker *worker, enum turn_outcome outcome)
{
    if (worker->outcome == TURN_GOES_ON)
        worker->outcome = outcome;
}

static inline void outcome_lose(struct workers *workers, struct worker *worker, const char *why)
{
    snprintf(workers->why, sizeof workers->why, "%s", why);
    outcome_set(worker, TURN_LOST);
}

static inline void outcome_break_off(struct worker *worker, const char *why)
{
    worker->broken = why;
    outcome_set(worker, TURN_BROKEN);
}

static inline enum turn_outcome outcome_take(struct worker *worker)
{
    enum turn_outcome outcome = worker->outcome;
    worker->outcome = TURN_GOES_ON;
    return outcome;
}

#endif
