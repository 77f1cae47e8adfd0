/*
 * options: the command line and the environment of banter.
 */
#ifndef BANTER_CLIENT_OPTIONS_H
#define BANTER_CLIENT_OPTIONS_H

#include <stdbool.h>

#include "client/batch/progress.h"
#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/output.h"
#include "client/terminal/history.h"

struct options {
    struct conversation_settings conversation;
    bool waits;      /* for a server that is not up yet */
    int64_t wait_ms; /* how long; 0: for ever */
    enum output_color color;
    enum progress_when progress;
    bool wants_times;
    struct history_settings history;
    bool is_literal;
    bool is_quiet;
    char *const *messages; /* the operands; ends in NULL */
    bool wants_help;
    bool wants_version;
};

/* Fills in the options from argv, which must stay as long as they are used. False where there is
 * nothing more to do: help or version were asked for and printed, or something was wrong and
 * reported; then `status` is what to end with. */
bool options_parse(struct options *options, int argc, char **argv, enum exit_status *status);

#endif
