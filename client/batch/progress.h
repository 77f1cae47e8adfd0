/*
 * progress: how far a run without a prompt has come, on standard error.
 *
 * On a terminal it is one line that is drawn anew a few times a second, never wider than the
 * terminal, and erased before anything else is written there; elsewhere, where it was asked for all
 * the same, a line of its own each second. Nothing is shown in the first second.
 */
#ifndef BANTER_CLIENT_BATCH_PROGRESS_H
#define BANTER_CLIENT_BATCH_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/options.h"
#include "client/status_line.h"

/* How far it is. */
struct progress_state {
    uint64_t sent;
    uint64_t answered;
    double sent_share; /* of the whole input, from 0 to 1; below 0: not known */
    bool is_idle;      /* all is answered, and the input has nothing for now */
};

#define PROGRESS_WINDOW 20 /* draws that the rate is measured over: five seconds on a terminal */

struct progress {
    bool is_wanted;
    bool is_terminal;
    bool hides_when_idle;
    int64_t next_ms; /* when it is drawn again */
    struct status_line line;
    struct {
        int64_t at_ms;
        uint64_t answered;
    } past[PROGRESS_WINDOW]; /* a ring of the last draws, the beginning first */
    size_t past_count;
};

/* Looks at standard error and standard output. OPTIONS_AUTO is for a person who is not watching
 * the replies already: standard error is a terminal, standard output is none. Where it is a pipe,
 * whoever reads it may write to that terminal too, so that the line hides while all is idle. */
void progress_init(struct progress *progress, enum options_when when);

/* How long poll(2) may take before progress_show() must be called anyway; -1: for ever. */
int progress_wait_ms(const struct progress *progress);

/* Whether it is time, and draws the line. */
bool progress_is_due(const struct progress *progress);
void progress_show(struct progress *progress, const struct progress_state *state);

/* Takes the line away, until it is time again. To be called before anything is written to the
 * terminal. */
void progress_erase(struct progress *progress);

#endif
