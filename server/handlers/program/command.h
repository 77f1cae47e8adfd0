/*
 * command: the program that all instances run: its file, looked up once, its arguments, its
 * environment and its limits.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_COMMAND_H
#define BANTER_SERVER_HANDLERS_PROGRAM_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

#include "common/error.h"

struct command {
    char *const *argv; /* the caller's */
    char *path;        /* the file to execute; owned */
    /* The server's, without what is set for each instance; owned, except for its strings. */
    char **environment;
    struct rlimit files; /* the limit of descriptors with which the server was started */
};

/* Looks the program up. False, with `error` set, if it is not found or can't be executed. */
bool command_init(struct command *command, char *const *argv, struct error *error);
void command_fini(struct command *command);

/* The environment of an instance: of these strings, "NAME=value", each takes the place of the
 * inherited one of its name. To be freed, its strings not; NULL: out of memory. */
char **command_environment(const struct command *command, const char *const *strings, size_t count);

/* Sets `error` to the reason why the program can't be run, an errno; always false. */
bool command_error(const char *program, int failure, struct error *error);

#endif
