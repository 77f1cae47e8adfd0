/*
 * socket: all that a session does to its socket. Every read and write of a session's bytes goes
 * through here, so that a transport other than a plain socket has one place to be told apart.
 */
#ifndef BANTER_SERVER_SESSION_SOCKET_H
#define BANTER_SERVER_SESSION_SOCKET_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "server/session/state.h"

/* Reads at most `size` bytes. 0: the other end has closed its sending half. -1 with errno set:
 * EAGAIN if there is nothing now; otherwise the connection has failed. */
static inline ssize_t socket_read(struct session *session, void *data, size_t size)
{
    ssize_t got;
    do
        got = recv(session->fd, data, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Writes as many of the bytes as the kernel takes. -1 with errno set: EAGAIN if it takes none now;
 * otherwise the connection has failed. */
static inline ssize_t socket_write(struct session *session, const void *data, size_t size)
{
    ssize_t sent;
    do
        sent = send(session->fd, data, size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

/* Whether errno says that the socket has nothing, or takes nothing, only for now. */
static inline bool socket_would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK; }

/* What to log of a read or write that has failed with errno set; NULL: nothing, since connections
 * fail every day. */
static inline const char *socket_failure(void)
{
    return errno == ENOBUFS || errno == ENOMEM ? "the system has no memory for its socket" : NULL;
}

/* How many bytes have been received and not read; 0 if unknown. */
static inline size_t socket_readable(const struct session *session)
{
    int readable = 0;
    return ioctl(session->fd, FIONREAD, &readable) == 0 && readable > 0 ? (size_t) readable : 0;
}

/* Whether the other end has closed its sending half, even if that is not read yet. */
static inline bool socket_has_ended(const struct session *session)
{
    struct pollfd poll_fd = {session->fd, POLLRDHUP, 0};
    return poll(&poll_fd, 1, 0) > 0;
}

/* Leaves urgent bytes in their place among the others: a telnet client sends one within a command.
 * If it fails, such a client's command is misread. */
static inline void socket_keep_urgent(struct session *session)
{
    int yes = 1;
    setsockopt(session->fd, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes);
}

/* Ends our sending half. False: the connection has failed. */
static inline bool socket_shutdown(struct session *session)
{
    return shutdown(session->fd, SHUT_WR) == 0;
}

/* Ends both halves: epoll reports that, whatever is watched. */
static inline void socket_cut(struct session *session) { shutdown(session->fd, SHUT_RDWR); }

static inline void socket_close(struct session *session) { close(session->fd); }

#endif
