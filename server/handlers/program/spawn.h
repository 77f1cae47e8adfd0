/*
 * spawn: starts an instance of a command: pipes, fork, exec.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_SPAWN_H
#define BANTER_SERVER_HANDLERS_PROGRAM_SPAWN_H

#include <stdint.h>

#include "server/handlers/program/command.h"
#include "server/handlers/program/group.h"

/* The server's ends; owned by the caller. The pipes' ends don't block. */
struct spawned {
    int pid_fd;
    int input_fd, output_fd, errors_fd; /* of the instance's descriptors 0, 1 and 2 */
};

/* Starts an instance with BANTER_WORKER=`number`, as the leader of a new group. Returns 0, or the
 * errno of what failed, exec included.
 *
 * To be called by a thread that lives as long as the instance shall: the kernel kills the instance
 * when the thread ends. */
int spawn(struct command *command, uint64_t number, struct group *group, struct spawned *spawned);

#endif
