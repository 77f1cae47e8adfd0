/*
 * program: the handler behind `banterd -- PROGRAM ARGUMENT...`: any line filter as a concurrent
 * service. Instances of the program are started once and kept; each is given one request at a time,
 * as a line on its standard input, and answers with one line on its standard output.
 *
 * One thread, the supervisor, forks, writes, reads and reaps. The threads that call handle() only
 * put requests into a queue.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_PROGRAM_H
#define BANTER_SERVER_HANDLERS_PROGRAM_PROGRAM_H

#include <stdbool.h>

/* What the command line says about the program. */
struct program_options {
    char *const *argv; /* the program, its arguments, NULL; NULL instead: there is no program */
    unsigned workers;  /* how many instances run; 0: one a core */
    bool worker_per_client; /* instead: one for each session, from its first request to its end */
};

#endif
