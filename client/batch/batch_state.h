/*
 * batch_state: what the files batch*.c share. Everyone else includes client/batch/batch.h.
 */
#ifndef BANTER_CLIENT_BATCH_BATCH_STATE_H
#define BANTER_CLIENT_BATCH_BATCH_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/batch/again.h"
#include "client/batch/input.h"
#include "client/batch/progress.h"
#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/output.h"
#include "client/signals.h"
#include "client/stopwatch.h"
#include "common/escape.h"

struct batch {
    struct conversation *conversation;
    struct input input;
    struct again again;
    bool takes_lines; /* nothing has to be done for each request, or for each reply */
    bool is_quiet;
    bool stops_on_error;
    bool gives_blocks; /* as they came, since a reply may have several lines, or none */
    struct output *output;
    struct progress progress;
    struct stopwatch stopwatch;
    struct signals signals;
    bool input_ended;
    bool input_awaited;  /* it must be read before there is another message */
    bool is_inside;      /* a message, of which pieces were sent */
    bool is_cut;         /* the input ended too early: we could not send or read it */
    bool is_over;        /* the conversation; there may still be output to write */
    bool is_interrupted; /* by a signal */
    bool done;
    enum exit_status status;
    uint64_t errors;
    uint64_t first_error; /* the number of its request */
    char first_error_text[ESCAPE_SIZE];
};

/* A status that applies. */
void batch_note(struct batch *batch, enum exit_status status);

/* ---- batch_end ---- */

/* The conversation has ended, unless a signal or a full disk came first: reports what is wrong with
 * that, and notes the status. May wait a second for the end of the input. */
void batch_judge_end(struct batch *batch);

/* The line that sums up a run that failed, if it is worth one. */
void batch_sum_up(const struct batch *batch);

#endif
