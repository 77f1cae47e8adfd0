/*
 * patience: lets a process that starts go behind those that run: what wakes up to answer, and works
 * in shorter bursts, gets the core at once. Its share of the time stays the same.
 *
 * No privilege is needed; where the kernel does not take it all stays as it was. Any thread may
 * call these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_PATIENCE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_PATIENCE_H

#include <stdbool.h>
#include <sys/types.h>

/* For a process that has one thread, a child of this process that is not reaped. */
void patience_begin(pid_t pid);

/* Ends it for all its threads, and for the processes below, since what it has started meanwhile has
 * its patience. */
void patience_end(pid_t pid);

/* Whether the first thread of a process waits for something other than a core. Also false if the
 * system does not say. */
bool process_is_asleep(pid_t pid);

#endif
