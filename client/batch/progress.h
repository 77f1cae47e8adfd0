/*
 * progress: --progress: how far a batch has come, on standard error.
 *
 * On a terminal it is one line that is redrawn a few times a second, never wider than the terminal,
 * and erased before anything else is written there. Elsewhere, if it is asked for, it is one more
 * line each second. The first second shows nothing. Embedded by value.
 */
#ifndef BANTER_CLIENT_BATCH_PROGRESS_H
#define BANTER_CLIENT_BATCH_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/options.h"
#include "client/status_line.h"

struct progress_state {
    uint64_t sent;
    uint64_t answered;
    double sent_share; /* of the whole input, from 0 to 1; below 0: not known */
    bool is_idle;      /* everything is answered, and the input is silent */
};

#define PROGRESS_WINDOW 20 /* draws over which the rate is measured: five seconds on a terminal */

struct progress {
    bool is_wanted;
    bool is_terminal;
    bool hides_when_idle;
    int64_t next_ms; /* of the next draw */
    struct status_line line;
    struct {
        int64_t at_ms;
        uint64_t answered;
    } past[PROGRESS_WINDOW]; /* a ring of the last draws; the first entry is the beginning */
    size_t past_count;
};

/* Looks at standard error and standard output. OPTIONS_AUTO is for a person who does not see the
 * replies: standard error is a terminal, standard output is none. If that is a pipe, its reader may
 * write to the same terminal, so the line is hidden while everything is idle. */
void progress_init(struct progress *progress, enum options_when when);

/* How many milliseconds poll(2) may take before progress_show() must be called anyway; -1: for
 * ever. */
int progress_wait_ms(const struct progress *progress);

/* Whether it is time to draw the line; and draws it. */
bool progress_is_due(const struct progress *progress);
void progress_show(struct progress *progress, const struct progress_state *state);

/* Takes the line away until it is time again; before anything else is written to the terminal. */
void progress_erase(struct progress *progress);

#endif
