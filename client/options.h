/*
 * options: the command line and the environment of banter.
 */
#ifndef BANTER_CLIENT_OPTIONS_H
#define BANTER_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/conversation.h"
#include "client/exit_status.h"

#define OPTIONS_QUIT "quit" /* the word that ends the input, unless --literal */

enum options_when { OPTIONS_AUTO, OPTIONS_ALWAYS, OPTIONS_NEVER };

/* When to connect again and send what is unanswered. */
enum options_again {
    OPTIONS_AGAIN_NEVER,
    OPTIONS_AGAIN_STOPPING, /* the server says that it has run nothing of it */
    OPTIONS_AGAIN_LOST,     /* also if nothing is known */
};

struct options {
    struct conversation_settings conversation;
    bool waits;      /* for a server that is not up yet */
    int64_t wait_ms; /* how long; 0: for ever */
    enum options_again again;
    enum options_when color;
    enum options_when progress;
    bool wants_times;
    bool has_history;    /* in a file */
    const char *history; /* its path; NULL: the default one */
    bool is_literal;
    bool stops_on_error; /* sends nothing behind the request whose reply is one */
    bool is_quiet;
    char *const *messages; /* the operands; ends in NULL */
    bool wants_help;
    bool wants_version;
};

/* Fills in the options from argv, which must outlive them. False if there is nothing more to do:
 * help or version was wanted and is printed, or an error is reported; then `status` is the exit
 * status. */
bool options_parse(struct options *options, int argc, char **argv, enum exit_status *status);

/* Whether a person at a terminal is asked for requests: there are no messages. */
bool options_is_interactive(const struct options *options);

/* Whether a line of input ends it: the word above or the protocol's, unless --literal. */
bool options_is_quit(const struct options *options, const char *line, size_t size);

#endif
