/*
 * interruption: the signals that end a program, held back until it has said its last word.
 *
 * They become readable on a descriptor. One that was ignored when the program started, as under
 * nohup(1), stays ignored. A write into a pipe that nobody reads fails meanwhile instead of ending
 * the program at once.
 */
#ifndef BANTER_CLIENT_INTERRUPTION_H
#define BANTER_CLIENT_INTERRUPTION_H

#include <signal.h>

struct interruption {
    int fd; /* readable when a signal came; -1 where there is none, and signals end us at once */
    sigset_t before;
};

void interruption_init(struct interruption *interruption);

/* All as it was: a signal that came meanwhile now ends the program. */
void interruption_fini(struct interruption *interruption);

/* Ends the program as a write into that pipe would have done. */
void interruption_die_of_pipe(struct interruption *interruption);

#endif
