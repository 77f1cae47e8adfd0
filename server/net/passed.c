/* passed: what the variables say, and whether the sockets are what they should be. */
#include "server/net/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/args.h"
#include "common/escape.h"

enum { FIRST_FD = STDERR_FILENO + 1 };

/* ---- the variables ---- */

struct variables {
    const char *pid, *fds, *names;
};

static struct variables read_variables(void)
{
    return (struct variables){getenv("LISTEN_PID"), getenv("LISTEN_FDS"), getenv("LISTEN_FDNAMES")};
}

static void remove_variables(void)
{
    static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
}

/* Whether they were meant for this process and not for one that it descends from. */
static bool are_ours(const struct variables *variables)
{
    struct error ignored;
    long pid = 0;
    return variables->fds && variables->pid &&
           args_number(variables->pid, 1, INT32_MAX, &pid, &ignored) && pid == getpid();
}

/* The next of the names, which are separated by colons; "" if there are no more. Points into the
 * text, of which `*rest` becomes what is behind it. */
static const char *next_name(char **rest)
{
    const char *name = strsep(rest, ":");
    return name ? name : "";
}

/* ---- a socket ---- */

static int option_of(int fd, int option)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

/* Writes how an error names it: by its name too, if it has one. */
static void describe(int fd, const char *name, char *text, size_t size)
{
    char shown[ESCAPE_SIZE];
    if (*name)
        snprintf(text, size, "passed socket %d (\"%s\")", fd,
                 escape_text(name, strlen(name), shown));
    else
        snprintf(text, size, "passed socket %d", fd);
}

static bool check_socket(int fd, const char *what, struct error *error)
{
    int family = option_of(fd, SO_DOMAIN);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return error_set(error, "%s: %s", what, strerror(errno));
    if (option_of(fd, SO_TYPE) != SOCK_STREAM)
        return error_set(error,
                         "%s is no stream socket: its socket unit needs ListenStream=", what);
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return error_set(error, "%s is neither TCP nor a Unix socket", what);
    if (option_of(fd, SO_ACCEPTCONN) == 1)
        return true;
    return error_set(error,
                     "%s is a connection, and not a socket that listens: its socket unit needs "
                     "Accept=no (systemd-socket-activate: no --accept)",
                     what);
}

static struct passed_sockets *sockets_for(struct passed *passed, const char *name)
{
    if (strcmp(name, "control") == 0)
        return &passed->control;
    return strcmp(name, "metrics") == 0 ? &passed->metrics : &passed->clients;
}

static bool take_socket(struct passed *passed, int fd, const char *name, struct error *error)
{
    static const char tls[] = "tls";
    char what[ESCAPE_SIZE + sizeof "passed socket 65535 (\"\")"];
    describe(fd, name, what, sizeof what);
    if (!check_socket(fd, what, error))
        return false;
    struct passed_sockets *sockets = sockets_for(passed, name);
    sockets->is_tls[sockets->count] = strncmp(name, tls, sizeof tls - 1) == 0;
    sockets->fds[sockets->count++] = fd;
    return true;
}

/* ---- all of them ---- */

static bool take_all(struct passed *passed, const struct variables *variables, struct error *error)
{
    long count = 0;
    struct error why;
    if (!args_number(variables->fds, 0, LISTENERS_MAX, &count, &why))
        return error_set(error, "LISTEN_FDS: %s", why.text);
    char *names = strdup(variables->names ? variables->names : "");
    char *rest = names;
    bool taken = names || error_set(error, "LISTEN_FDNAMES: %s", strerror(ENOMEM));
    for (int i = 0; taken && i < count; i++)
        taken = take_socket(passed, FIRST_FD + i, next_name(&rest), error);
    free(names);
    return taken;
}

bool passed_take(struct passed *passed, struct error *error)
{
    struct variables variables = read_variables();
    *passed = (struct passed){0};
    bool taken = !are_ours(&variables) || take_all(passed, &variables, error);
    remove_variables();
    return taken;
}

bool passed_has_tls(const struct passed *passed)
{
    for (unsigned i = 0; i < passed->clients.count; i++)
        if (passed->clients.is_tls[i])
            return true;
    return false;
}

bool passed_any(const struct passed *passed)
{
    return passed->clients.count + passed->control.count + passed->metrics.count > 0;
}
