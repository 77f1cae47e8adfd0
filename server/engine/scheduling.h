/*
 * scheduling: what the kernel is told about the threads, so that one that answers quick requests
 * does not wait for one that computes. Nothing of it needs a privilege; a kernel that knows no time
 * slices (before Linux 6.12) goes by the priority alone.
 */
#ifndef BANTER_SERVER_ENGINE_SCHEDULING_H
#define BANTER_SERVER_ENGINE_SCHEDULING_H

#include <sys/types.h>

/* The calling thread works in short bursts, and is to be run as soon as it can. */
void scheduling_be_prompt(void);

/* A thread of the process (0: the calling one) computes for long, and gives way to the others. Only a
 * privileged process could take that back: it is not to be used for anything else afterwards. */
void scheduling_give_way(pid_t thread);

#endif
