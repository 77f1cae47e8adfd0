/*
 * command: the program that all instances run: its file, looked up once, its arguments, its
 * environment and its limits.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_COMMAND_H
#define BANTER_SERVER_HANDLERS_PROGRAM_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "common/error.h"

/* Must stay where it is: `environment` points to `worker`. */
struct command {
    char *const *argv;   /* the caller's */
    char *path;          /* the file to execute; owned */
    char **environment;  /* owned, except for its strings */
    char worker[40];     /* "BANTER_WORKER=3", the first string of the environment */
    struct rlimit files; /* the limit of descriptors with which the server was started */
};

/* Looks the program up. False, with `error` set, if it is not found or can't be executed. */
bool command_init(struct command *command, char *const *argv, struct error *error);
void command_fini(struct command *command);

/* Sets BANTER_WORKER for the next instance. */
void command_set_worker(struct command *command, uint64_t number);

/* Sets `error` to the reason why the program can't be run, an errno; always false. */
bool command_error(const char *program, int failure, struct error *error);

#endif
