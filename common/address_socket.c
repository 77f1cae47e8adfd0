/*
 * address_socket: listening and connecting. The other half of address.h; the notations are in
 * address.c.
 */
#include "common/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define LOCK_ATTEMPTS 100 /* to lock a folder; 10 ms apart, a second in all */
#define LOCK_PAUSE_MS 10

/* RFC 8305's Connection Attempt Delay: how long an address that does not answer holds up the next.
 */
#define NEXT_ADDRESS_MS 250

static bool set_option(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

static void close_keeping_errno(int fd)
{
    int why = errno;
    close(fd);
    errno = why;
}

/* A socket for the address, with the options that both listening and connecting need. */
static int open_socket(const struct address *address, int flags)
{
    int family = address->socket.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0 || family == AF_UNIX)
        return fd;
    if (set_option(fd, IPPROTO_TCP, TCP_NODELAY) && set_option(fd, SOL_SOCKET, SO_KEEPALIVE))
        return fd;
    close_keeping_errno(fd);
    return -1;
}

/* ---- listening ---- */

static bool bind_and_listen(int fd, const struct address *address, int backlog)
{
    int family = address->socket.any.sa_family;
    if (family != AF_UNIX && !set_option(fd, SOL_SOCKET, SO_REUSEADDR))
        return false;
    if (family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY))
        return false;
    return bind(fd, &address->socket.any, address->size) == 0 && listen(fd, backlog) == 0;
}

/* Whether the path is a socket on which nobody listens any more. */
static bool is_stale(const struct address *address)
{
    struct stat status;
    if (lstat(address->socket.local.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, &address->socket.any, address->size) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* Opens and locks the folder that the path is in. -1 when that fails. */
static int lock_folder(const char *path)
{
    char folder[sizeof(((struct sockaddr_un *) 0)->sun_path)] = ".";
    const char *slash = strrchr(path, '/');
    if (slash) {
        size_t size = (size_t) (slash - path) + 1;
        memcpy(folder, path, size);
        folder[size] = '\0';
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    for (int attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    close(fd);
    return -1;
}

/* A socket is bound with the permissions that it has, less the umask. So it has none, which nothing
 * can make more, until the path belongs to its group. On failure nothing is left bound. */
static bool bind_path(int fd, const struct address *address,
                      const struct address_permissions *permissions)
{
    const char *path = address->socket.local.sun_path;
    if (!permissions)
        return bind(fd, &address->socket.any, address->size) == 0;
    if (fchmod(fd, 0) != 0 || bind(fd, &address->socket.any, address->size) != 0)
        return false;
    if (lchown(path, (uid_t) -1, permissions->group) == 0 && chmod(path, permissions->mode) == 0)
        return true;
    int why = errno;
    unlink(path);
    errno = why;
    return false;
}

/* Two servers that start at once would both find a dead socket, and the second would remove the one
 * that the first has just bound. A socket that is bound but does not listen yet looks dead, too. So
 * everything from bind to listen happens under a lock on the folder, which needs no lock file and
 * ends with its holder. But whoever may read the folder can lock it. A server needs the lock for an
 * instant only: one that is held for a second is somebody else's, and it goes without. */
static bool listen_on_path(int fd, const struct address *address,
                           const struct address_permissions *permissions, int backlog)
{
    const char *path = address->socket.local.sun_path;
    int folder = lock_folder(path);
    bool ok = bind_path(fd, address, permissions);
    if (!ok && errno == EADDRINUSE) {
        if (is_stale(address) && unlink(path) == 0)
            ok = bind_path(fd, address, permissions);
        else
            errno = EADDRINUSE;
    }
    ok = ok && listen(fd, backlog) == 0;
    if (folder >= 0)
        close_keeping_errno(folder);
    return ok;
}

int address_listen(struct address *address, const struct address_permissions *permissions,
                   int backlog)
{
    int fd = open_socket(address, SOCK_NONBLOCK);
    if (fd < 0)
        return -1;
    bool is_path =
        address->socket.any.sa_family == AF_UNIX && address->socket.local.sun_path[0] != '\0';
    if (is_path ? !listen_on_path(fd, address, permissions, backlog)
                : !bind_and_listen(fd, address, backlog))
        goto fail;
    struct address bound = *address;
    bound.size = sizeof bound.socket;
    if (getsockname(fd, &bound.socket.any, &bound.size) != 0)
        goto fail;
    *address = bound;
    return fd;

fail:
    close_keeping_errno(fd);
    return -1;
}

/* ---- connecting ---- */

/* The time left until the deadline, for poll(2): -1 if there is no deadline. */
static int left_ms(int64_t deadline_ms)
{
    if (deadline_ms < 0)
        return -1;
    return clock_wait_ms(deadline_ms - clock_ms());
}

/* If nobody listens on a port in the kernel's range for outgoing connections, a connect to it on
 * the same host can be given that very port, and meet itself. */
static bool is_self_connected(int fd)
{
    struct address here = {.size = sizeof here.socket};
    struct address there = {.size = sizeof there.socket};
    return getsockname(fd, &here.socket.any, &here.size) == 0 &&
           getpeername(fd, &there.socket.any, &there.size) == 0 && here.size == there.size &&
           memcmp(&here.socket, &there.socket, here.size) == 0;
}

/* A Unix connect either succeeds at once or waits for room in the listener's backlog, which poll(2)
 * can't wait for. So the socket blocks, for a limited time: Linux applies SO_SNDTIMEO to
 * connect(2), and says EAGAIN when it is over. */
static int connect_path(int fd, const struct address *address, int64_t deadline_ms)
{
    int why;
    do {
        int left = left_ms(deadline_ms);
        /* Zero would mean no limit. */
        int wait_ms = left == 0 ? 1 : left;
        struct timeval limit = {.tv_sec = wait_ms < 0 ? 0 : wait_ms / 1000,
                                .tv_usec = wait_ms < 0 ? 0 : wait_ms % 1000 * 1000};
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
            return errno;
        why = connect(fd, &address->socket.any, address->size) == 0 ? 0 : errno;
    } while (why == EINTR && left_ms(deadline_ms) != 0);
    if (why != 0)
        return why == EAGAIN || why == EINTR ? ETIMEDOUT : why;
    struct timeval none = {0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
    return fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0 ? 0 : errno;
}

/* Addresses that are tried side by side, of which the first to answer wins (RFC 8305). */
struct race {
    const struct address_list *list;
    struct pollfd *sockets; /* one for each address that was tried; -1: it has failed */
    int *reasons;           /* an errno for each that has failed */
    size_t tried;
    size_t under_way;
    int64_t deadline_ms; /* -1: none */
    int64_t next_ms;     /* when the next one is tried, even if none of these has failed */
    int end;             /* why those failed that were under way when it ended */
};

static void lose(struct race *race, size_t index, int why)
{
    race->reasons[index] = why;
    race->next_ms = clock_ms();
    if (race->sockets[index].fd < 0)
        return;
    close(race->sockets[index].fd);
    race->sockets[index].fd = -1;
    race->under_way--;
}

/* How long the next address waits for the one that is tried last. A short time is shared equally,
 * so that each is tried. */
static int patience_ms(const struct race *race)
{
    int left = left_ms(race->deadline_ms);
    int share = left / (int) (race->list->count - race->tried + 1);
    return left >= 0 && share < NEXT_ADDRESS_MS ? share : NEXT_ADDRESS_MS;
}

static void try_next(struct race *race)
{
    size_t index = race->tried++;
    const struct address *address = &race->list->items[index];
    int fd = open_socket(address, SOCK_NONBLOCK);
    race->sockets[index] = (struct pollfd){.fd = fd, .events = POLLOUT};
    race->under_way += fd >= 0;
    bool failed = fd < 0 || (connect(fd, &address->socket.any, address->size) != 0 &&
                             errno != EINPROGRESS && errno != EINTR);
    if (failed)
        lose(race, index, errno);
    else
        race->next_ms = clock_ms() + patience_ms(race);
}

/* Returns 0, or why it failed. */
static int outcome(int fd)
{
    int why = 0;
    socklen_t size = sizeof why;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) != 0)
        return errno;
    return why == 0 && is_self_connected(fd) ? ECONNREFUSED : why;
}

/* After a poll(2): a connected socket, which leaves the race, and its index; or -1. */
static int take_winner(struct race *race, size_t *index)
{
    for (size_t i = 0; i < race->tried; i++) {
        int fd = race->sockets[i].fd;
        if (fd < 0 || race->sockets[i].revents == 0)
            continue;
        int why = outcome(fd);
        if (why == 0) {
            race->sockets[i].fd = -1;
            *index = i;
            return fd;
        }
        lose(race, i, why);
    }
    return -1;
}

/* Until the deadline, or until the next address is to be tried. */
static int race_wait_ms(const struct race *race)
{
    int left = left_ms(race->deadline_ms);
    bool has_next = race->tried < race->list->count;
    return has_next ? clock_shorter_ms(left, left_ms(race->next_ms)) : left;
}

/* A connected socket, or -1. */
static int run_race(struct race *race, size_t *winner)
{
    size_t count = race->list->count;
    for (;;) {
        while (race->tried < count && (race->under_way == 0 || clock_ms() >= race->next_ms))
            try_next(race);
        if (race->under_way == 0)
            return -1;
        int ready = poll(race->sockets, race->tried, race_wait_ms(race));
        race->end = ready < 0 ? errno : ETIMEDOUT;
        int fd = ready > 0 ? take_winner(race, winner) : -1;
        bool is_over = ready == 0 && race->tried == count && left_ms(race->deadline_ms) == 0;
        if (fd >= 0 || is_over || (ready < 0 && errno != EINTR))
            return fd;
    }
}

/* Appends "ADDRESS: REASON" to the text. */
static void append_failure(const struct address *address, int why, struct error *error)
{
    char name[ADDRESS_TEXT_SIZE];
    address_print(address, name);
    size_t used = strlen(error->text);
    snprintf(error->text + used, sizeof error->text - used, "%s%s: %s", used > 0 ? "; " : "", name,
             strerror(why));
}

/* Closes all that are still under way. */
static void end_race(struct race *race, struct error *error)
{
    error_set(error, "%s", "");
    for (size_t i = 0; i < race->tried; i++) {
        if (race->sockets[i].fd >= 0)
            lose(race, i, race->end);
        append_failure(&race->list->items[i], race->reasons[i], error);
    }
    free(race->sockets);
    free(race->reasons);
}

static int connect_to_first(const struct address_list *list, int64_t deadline_ms, size_t *connected,
                            struct error *error)
{
    struct race race = {.list = list, .deadline_ms = deadline_ms};
    race.sockets = calloc(list->count, sizeof *race.sockets);
    race.reasons = calloc(list->count, sizeof *race.reasons);
    bool has_memory = race.sockets && race.reasons;
    int fd = has_memory ? run_race(&race, connected) : -1;
    end_race(&race, error);
    if (!has_memory)
        error_set(error, "unable to connect: memory is out");
    return fd;
}

static int connect_to_path(const struct address *address, int64_t deadline_ms, struct error *error)
{
    int fd = open_socket(address, 0);
    int why = fd < 0 ? errno : connect_path(fd, address, deadline_ms);
    if (why == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    error_set(error, "%s", "");
    append_failure(address, why, error);
    return -1;
}

int address_connect(const struct address_list *list, int timeout_ms, size_t *connected,
                    struct error *error)
{
    int64_t deadline_ms = timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;
    size_t index = 0;
    bool is_path = list->items[0].socket.any.sa_family == AF_UNIX;
    int fd = is_path ? connect_to_path(&list->items[0], deadline_ms, error)
                     : connect_to_first(list, deadline_ms, &index, error);
    if (fd >= 0 && connected)
        *connected = index;
    return fd;
}
