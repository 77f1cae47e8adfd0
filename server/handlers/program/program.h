/*
 * program: the handler behind `banterd -- PROGRAM ARGUMENT...`: any line filter as a concurrent
 * service. Instances of the program are started once and kept; each is given one request at a time,
 * as a line on its standard input. What it writes to its standard output until it waits for the
 * next one is the answer.
 *
 * One thread, the supervisor, forks, writes, reads and reaps. The threads that call handle() only
 * put requests into a queue.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_PROGRAM_H
#define BANTER_SERVER_HANDLERS_PROGRAM_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "server/handlers/program/answer.h"

/* What the command line says about the program. */
struct program_options {
    char *const *argv; /* the program, its arguments, NULL; NULL instead: there is no program */
    /* How many instances all sessions share, 0: one a core; with the next two: how many wait,
     * started ahead. */
    unsigned workers;
    bool worker_per_client;  /* one for each session, from its first request to its end */
    bool worker_per_request; /* one for each request, of which this is the whole input */
    unsigned max_workers;    /* with these two: how many at a time; 0: the default */
    enum reply_end reply_end;
    const char *reply_mark;  /* REPLY_END_LINE: the line that ends a reply */
    const char *request_end; /* a line behind each request; NULL: none */
    unsigned ahead;          /* requests of a session that are given at once, at most; 0: one */
    bool tagged;             /* each has an ID; `ahead` are in an instance, of any session; 0: 64 */
    bool tell_peer;          /* each request has its client's address and identity in front */
    bool pty;                /* the standard output of an instance is a terminal */
    bool stderr_to_reply;    /* its standard error is a part of its answers */
    int64_t start_timeout_ms; /* until an instance is ready for a request; 0: for ever */
};

#endif
