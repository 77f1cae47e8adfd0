/*
 * socket: all that a session does to its socket. Every read and write of a session's bytes goes
 * through here, so that a transport other than a plain socket has one place to be told apart.
 */
#ifndef BANTER_SERVER_SESSION_SOCKET_H
#define BANTER_SERVER_SESSION_SOCKET_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "server/session/state.h"

/* What a wrapper may hold, at most: a little more than a turn reads. */
enum { SOCKET_HELD_BYTES = 128 << 10 };

/* What the kernel may hold of a large reply. */
enum { SOCKET_LARGE_BYTES = 1 << 20 };

/* The same of a session whose bytes are wrapped in TLS: rare enough to be kept out of the others'
 * way. */
ssize_t socket_read_wrapped(struct session *session, void *data, size_t size);
ssize_t socket_write_wrapped(struct session *session, const void *data, size_t size);
bool socket_wrapper_holds(const struct session *session);
bool socket_wrapper_was_cut(const struct session *session);
bool socket_end_wrapper(struct session *session);
void socket_free_wrapper(struct session *session);

/* Reads at most `size` bytes. 0: the other end has closed its sending half. -1 with errno set:
 * EAGAIN if there is nothing now; otherwise the connection has failed. */
static inline ssize_t socket_read(struct session *session, void *data, size_t size)
{
    ssize_t got;
    if (session->wrapped)
        return socket_read_wrapped(session, data, size);
    do
        got = recv(session->fd, data, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Writes as many of the bytes as the kernel takes. -1 with errno set: EAGAIN if it takes none now;
 * otherwise the connection has failed. The next bytes that are written are those that it did not
 * take. */
static inline ssize_t socket_write(struct session *session, const void *data, size_t size)
{
    ssize_t sent;
    if (session->wrapped)
        return socket_write_wrapped(session, data, size);
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
    return errno == ENOBUFS || errno == ENOMEM ? "the system has no memory for its socket"
           : errno == EPROTO ? "what it sent is no TLS, an alert, or new keys without end"
                             : NULL;
}

/* Whether a read may give something that epoll does not know of. */
static inline bool socket_holds(const struct session *session)
{
    return session->wrapped && socket_wrapper_holds(session);
}

/* How many bytes, at most, have been received and not read; 0 if unknown. */
static inline size_t socket_readable(const struct session *session)
{
    int readable = 0;
    size_t held = socket_holds(session) ? SOCKET_HELD_BYTES : 0;
    bool is_known = ioctl(session->fd, FIONREAD, &readable) == 0 && readable > 0;
    return is_known ? (size_t) readable + held : held;
}

/* After the end of the stream: whether somebody else than the client may have ended it. */
static inline bool socket_was_cut(const struct session *session)
{
    return session->wrapped && socket_wrapper_was_cut(session);
}

/* Lets the kernel hold a large reply, or a megabyte of it, that it can't send yet: more than the
 * listener lets it (server/net/listener.c). False: it can't be told, or need not be. */
static inline bool socket_hold_large(struct session *session)
{
    int bytes = SOCKET_LARGE_BYTES;
    return setsockopt(session->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes) == 0;
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

/* Says that nothing comes any more, if there is a way to say so but to end our half. Returns
 * whether that is done. If not, it is when a byte was written, whatever that is. */
static inline bool socket_say_end(struct session *session)
{
    return !session->wrapped || socket_end_wrapper(session);
}

/* Ends our sending half. False: the connection has failed. */
static inline bool socket_shutdown(struct session *session)
{
    return shutdown(session->fd, SHUT_WR) == 0;
}

/* Reads what nobody looks at any more, into `scrap`; else as socket_read(). */
static inline ssize_t socket_discard(struct session *session, void *scrap, size_t size)
{
    ssize_t got;
    do
        got = recv(session->fd, scrap, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Ends both halves: epoll reports that, whatever is watched. */
static inline void socket_cut(struct session *session) { shutdown(session->fd, SHUT_RDWR); }

static inline void socket_close(struct session *session)
{
    if (session->wrapped)
        socket_free_wrapper(session);
    close(session->fd);
}

#endif
