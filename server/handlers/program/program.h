/*
 * program: the handler behind `banterd -- PROGRAM ARGUMENT...`: any line filter as a concurrent
 * service. Copies of the program are started once and kept; each is given one request at a time, as
 * a line on its standard input, and answers with one line on its standard output.
 *
 * One thread of the handler's own does all of it: it forks, writes, reads and reaps. The threads
 * that handle() is called in only put the request into a queue.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_PROGRAM_H
#define BANTER_SERVER_HANDLERS_PROGRAM_PROGRAM_H

#include <stdbool.h>

#include "common/error.h"
#include "server/handler.h"

struct log;

struct program_config {
    char *const
        *argv; /* the program, its arguments, NULL; the caller's, until the handler is closed */
    unsigned workers; /* copies; 0: one a core */
    bool per_client;  /* instead: one for each session, from its first request to its end */
    struct log *log;  /* the caller's, until the handler is closed; NULL: nothing is logged */
};

/* Opens the handler, and starts all copies. False, with `error` set, when they can't be started.
 * `handler` must stay where it is until it is closed. */
bool program_open(struct handler *handler, const struct program_config *config,
                  struct error *error);

#endif
