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
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define LOCK_ATTEMPTS 100 /* to lock a folder; 10 ms apart, a second in all */
#define LOCK_PAUSE_MS 10

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

/* Two servers that start at once would both find a dead socket, and the second would remove the one
 * that the first has just bound. A socket that is bound but does not listen yet looks dead, too. So
 * everything from bind to listen happens under a lock on the folder, which needs no lock file and
 * ends with its holder. But whoever may read the folder can lock it. A server needs the lock for an
 * instant only: one that is held for a second is somebody else's, and it goes without. */
static bool listen_on_path(int fd, const struct address *address, int backlog)
{
    const char *path = address->socket.local.sun_path;
    int folder = lock_folder(path);
    bool ok = bind_and_listen(fd, address, backlog);
    if (!ok && errno == EADDRINUSE) {
        if (is_stale(address) && unlink(path) == 0)
            ok = bind_and_listen(fd, address, backlog);
        else
            errno = EADDRINUSE;
    }
    if (folder >= 0)
        close_keeping_errno(folder);
    return ok;
}

int address_listen(struct address *address, int backlog)
{
    int fd = open_socket(address, SOCK_NONBLOCK);
    if (fd < 0)
        return -1;
    bool is_path =
        address->socket.any.sa_family == AF_UNIX && address->socket.local.sun_path[0] != '\0';
    if (is_path ? !listen_on_path(fd, address, backlog) : !bind_and_listen(fd, address, backlog))
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

/* Returns 0, or why it failed. */
static int finish_connect(int fd, int64_t deadline_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int count;
    do {
        count = poll(&ready, 1, left_ms(deadline_ms));
    } while (count < 0 && errno == EINTR);
    if (count <= 0)
        return count == 0 ? ETIMEDOUT : errno;
    int why = 0;
    socklen_t size = sizeof why;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) == 0 ? why : errno;
}

static int connect_tcp(int fd, const struct address *address, int64_t deadline_ms)
{
    int why = 0;
    if (connect(fd, &address->socket.any, address->size) != 0)
        why = errno == EINPROGRESS || errno == EINTR ? finish_connect(fd, deadline_ms) : errno;
    return why == 0 && is_self_connected(fd) ? ECONNREFUSED : why;
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

/* A connected socket, or -1 with errno set. */
static int connect_one(const struct address *address, int64_t deadline_ms)
{
    bool is_local = address->socket.any.sa_family == AF_UNIX;
    int fd = open_socket(address, is_local ? 0 : SOCK_NONBLOCK);
    if (fd < 0)
        return -1;
    int why =
        is_local ? connect_path(fd, address, deadline_ms) : connect_tcp(fd, address, deadline_ms);
    if (why == 0)
        return fd;
    close(fd);
    errno = why;
    return -1;
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

int address_connect(const struct address_list *list, int timeout_ms, size_t *connected,
                    struct error *error)
{
    int64_t deadline_ms = timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;
    error_set(error, "%s", "");
    for (size_t i = 0; i < list->count; i++) {
        /* An equal share of the time left: an address that does not answer must not use up the
         * time of the next ones. */
        int64_t turn_end_ms = -1;
        if (deadline_ms >= 0)
            turn_end_ms = clock_ms() + left_ms(deadline_ms) / (int64_t) (list->count - i);
        int fd = connect_one(&list->items[i], turn_end_ms);
        if (fd >= 0) {
            if (connected)
                *connected = i;
            return fd;
        }
        append_failure(&list->items[i], errno, error);
    }
    return -1;
}
