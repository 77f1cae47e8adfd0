/*
 * spawn: starts an instance of a command: pipes or a terminal, process, exec.
 *
 * The new process borrows the memory of this one until its exec, and the calling thread sleeps as
 * long. Nothing is copied, so a start costs the same however large the server is.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_SPAWN_H
#define BANTER_SERVER_HANDLERS_PROGRAM_SPAWN_H

#include <stdbool.h>
#include <stdint.h>

#include "server/handlers/program/command.h"
#include "server/handlers/program/group.h"

enum { SPAWN_VARIABLES = 3 };

struct spawn_options {
    /* Its standard output is a terminal: raw, 0 columns by 0 lines, not its controlling one; TERM
     * is dumb and NO_COLOR is set. For programs that keep their output in a buffer otherwise. When
     * the last process has closed it, a read of output_fd fails with EIO. */
    bool pty;
    /* Its standard error is the same as its standard output. */
    bool stderr_to_output;
    /* More of its environment, "NAME=value"; NULL behind the last if there are fewer. */
    const char *environment[SPAWN_VARIABLES];
};

/* The server's ends; owned by the caller. None but the pidfd blocks. */
struct spawned {
    int pid_fd;
    int input_fd, output_fd; /* of the instance's descriptors 0 and 1 */
    int errors_fd;           /* of 2; -1 with stderr_to_output */
};

/* Starts an instance with BANTER_WORKER=`number`, as the leader of a new group. Returns 0, or the
 * errno of what failed, exec included; then there is neither a process nor a descriptor.
 *
 * To be called by a thread that lives as long as the instance shall: the kernel kills the instance
 * when the thread ends. Several threads may call this at a time. */
int spawn(const struct command *command, const struct spawn_options *options, uint64_t number,
          struct group *group, struct spawned *spawned);

#endif
