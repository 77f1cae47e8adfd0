/* command: finds the program and prepares its environment. */
#include "server/handlers/program/command.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0, or the errno that says why the file can't be executed. */
static int check_file(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    return access(path, X_OK) == 0 ? 0 : errno;
}

/* Looks for the name in one folder of PATH; an empty one is the working directory. */
static int find_in_folder(const char *name, const char *folder, size_t size, char **path)
{
    if (asprintf(path, "%.*s/%s", size ? (int) size : 1, size ? folder : ".", name) < 0) {
        *path = NULL;
        return ENOMEM;
    }
    int failure = check_file(*path);
    if (failure) {
        free(*path);
        *path = NULL;
    }
    return failure;
}

/* Finds it as execvp(3) would: in the parent, since the child may not allocate memory, and since a
 * failure must be known before anything is started. */
static int find_program(const char *name, char **path)
{
    if (strchr(name, '/')) {
        *path = strdup(name);
        return *path ? check_file(name) : ENOMEM;
    }
    const char *folder = getenv("PATH");
    if (!folder)
        folder = "/usr/local/bin:/usr/bin:/bin";
    int failure = ENOENT;
    for (;; folder++) {
        size_t size = strcspn(folder, ":");
        int why = *name ? find_in_folder(name, folder, size, path) : ENOENT;
        if (why == 0 || why == ENOMEM)
            return why;
        if (why == EACCES)
            failure = why; /* says more than that the other folders have none */
        folder += size;
        if (!*folder)
            return failure;
    }
}

/* Whether two strings "NAME=value" have the same name. */
static bool same_name(const char *one, const char *other)
{
    size_t size = strcspn(one, "=");
    return strncmp(one, other, size) == 0 && other[size] == '=';
}

static bool has_name(const char *const *strings, size_t count, const char *variable)
{
    for (size_t i = 0; i < count; i++)
        if (same_name(strings[i], variable))
            return true;
    return false;
}

/* Copies those variables that have none of the strings' names. */
static void copy_others(char **to, char *const *environment, const char *const *strings,
                        size_t count)
{
    for (; environment && *environment; environment++)
        if (!has_name(strings, count, *environment))
            *to++ = *environment;
}

static size_t count_of(char *const *environment)
{
    size_t count = 0;
    while (environment && environment[count])
        count++;
    return count;
}

/* A server that runs as a program of another one has these; they say nothing about its own
 * instances. */
static bool copy_environment(struct command *command)
{
    static const char *const names[] = {
        "BANTER_WORKER=", "BANTER_SESSION=", "BANTER_ADDRESS=", "BANTER_IDENTITY="};
    command->environment = calloc(count_of(environ) + 1, sizeof *command->environment);
    if (command->environment)
        copy_others(command->environment, environ, names, sizeof names / sizeof *names);
    return command->environment;
}

char **command_environment(const struct command *command, const char *const *strings, size_t count)
{
    char **environment = calloc(count + count_of(command->environment) + 1, sizeof *environment);
    if (!environment)
        return NULL;
    for (size_t i = 0; i < count; i++)
        environment[i] = (char *) (uintptr_t) strings[i]; /* execve() takes it so, changes none */
    copy_others(environment + count, command->environment, strings, count);
    return environment;
}

bool command_init(struct command *command, char *const *argv, struct error *error)
{
    *command = (struct command){.argv = argv};
    getrlimit(RLIMIT_NOFILE, &command->files);
    int failure = find_program(argv[0], &command->path);
    if (!failure && !copy_environment(command))
        failure = ENOMEM;
    if (!failure)
        return true;
    command_fini(command);
    return command_error(argv[0], failure, error);
}

void command_fini(struct command *command)
{
    free(command->path);
    free(command->environment);
    *command = (struct command){0};
}

bool command_error(const char *program, int failure, struct error *error)
{
    return error_set(error, "unable to run %s: %s", program, strerror(failure));
}
