/*
 * freezer: whether a control group (version 2) keeps a process from running. To /proc it is asleep
 * then, in the call in which it was caught.
 *
 * Any thread may call this.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_FREEZER_H
#define BANTER_SERVER_HANDLERS_PROGRAM_FREEZER_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether the process's group, or one above it, is frozen or is about to be. Opens a file for each
 * of them. False if the system does not say. */
bool process_is_frozen(pid_t pid);

#endif
