/*
 * terminal_state: what the files terminal*.c share. Everyone else includes
 * client/terminal/terminal.h.
 */
#ifndef BANTER_CLIENT_TERMINAL_TERMINAL_STATE_H
#define BANTER_CLIENT_TERMINAL_TERMINAL_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "client/exit_status.h"
#include "client/options.h"
#include "client/output.h"
#include "client/signals.h"
#include "client/stopwatch.h"
#include "client/terminal/link.h"
#include "client/terminal/paste.h"

struct terminal {
    const struct options *options;
    struct output *output;
    struct link link;
    struct paste paste; /* lines that are being sent */
    struct stopwatch stopwatch;
    struct signals signals;
    size_t shown_requests; /* how many the user knows to stand at the prompt */
    bool must_give_back;   /* what was not sent goes back to the prompt */
    bool is_leaving;       /* quit was said */
    bool done;
    enum exit_status status;
};

/* ---- terminal_events ---- */

/* Takes what the server has said, up to the end of the conversation. */
void terminal_take_events(struct terminal *terminal);

/* Writes what standard output takes of the replies; the screen takes all of it. */
void terminal_print_replies(struct terminal *terminal);

/* ---- terminal_end ---- */

/* A status that applies. */
void terminal_note(struct terminal *terminal, enum exit_status status);

/* Ends the program: it can't go on without this. */
void terminal_fail(struct terminal *terminal, const char *verb, const char *object, int why);

/* The same for standard output. */
void terminal_fail_output(struct terminal *terminal);

/* Ends the program as that signal would have done. */
void terminal_die_of(struct terminal *terminal, int number);

#endif
