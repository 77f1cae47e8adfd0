/*
 * program_spawn: how a program is run: found in PATH, given pipes, forked, executed; and the list
 * of all process groups that run, so that they can be killed at once when the server has no time
 * left.
 *
 * Fork only from a thread that lives as long as the copies shall: they are killed when the thread
 * that forked them ends.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_SPAWN_H
#define BANTER_SERVER_HANDLERS_PROGRAM_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/error.h"

/* What all copies of a program have in common. */
struct spawn_command {
    char *const *argv;   /* the caller's */
    char *path;          /* of what is executed; owned */
    char **environment;  /* owned, its strings are not; the first one is `worker` */
    char worker[40];     /* "BANTER_WORKER=3" */
    struct rlimit files; /* as the server was started with, before it raised it */
};

/* A process group that runs, in the list of all. */
struct group {
    LIST_ENTRY(group) entry;
    pid_t id; /* also its leader's process */
};

/* Our ends; -1: closed. */
struct spawned {
    int pid_fd;
    int input_fd, output_fd, errors_fd; /* the copy's 0, 1 and 2; ours don't block */
};

/* Looks the program up. False, with `error` set, when it is not there or can't be executed. */
bool spawn_command_init(struct spawn_command *command, char *const *argv, struct error *error);
void spawn_command_fini(struct spawn_command *command);

/* Runs a copy with BANTER_WORKER=`number`. Returns 0, or the errno of what failed. */
int spawn(struct spawn_command *command, uint64_t number, struct group *group,
          struct spawned *spawned);

/* Says why the program can't be run; always false. */
bool spawn_error(const char *program, int failure, struct error *error);

/* Sends a signal to a group. */
void group_signal(const struct group *group, int number);

/* Reaps the leader, which has ended. Returns true, and takes the group off the list, when nobody
 * else is left in it. */
bool group_reap(struct group *group, int pid_fd);

/* As above, for a group whose leader was reaped before. */
bool group_is_gone(struct group *group);

/* Kills the group for good and takes it off the list. */
void group_forget(struct group *group);

/* Kills all groups of this process; from now on none is started. From any thread, at any time. */
void groups_abort(void);

#endif
