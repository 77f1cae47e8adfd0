/* listener: binding, listening, and leaving nothing behind. */
#include "server/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,  /* the kernel lowers it to net.core.somaxconn */
    PORT_TRIES = 16, /* how often a free port of one address may be in use on the next */
    /* With 16 KiB large replies cost the server half as much time again, with 64 KiB nothing. */
    NOT_SENT_BYTES = 128 << 10,
};

static bool is_path(const struct listener *listener)
{
    return listener->address.socket.any.sa_family == AF_UNIX &&
           listener->address.socket.local.sun_path[0];
}

/* What a client does not read waits in its session, whose output is bounded, and not in the kernel,
 * which would take 4 MB of it: beside what is in flight it takes this much, until the session has
 * a large reply to send (socket_hold_large()). Accepted sockets inherit it. If it fails, the
 * kernel's own bound holds. */
static void bound_not_sent(int fd, const struct address *address)
{
    int bytes = NOT_SENT_BYTES;
    if (address->socket.any.sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

static bool add(struct listeners *listeners, int fd, const struct address *address, bool is_passed)
{
    if (listeners->count == LISTENERS_MAX) {
        errno = ENOSPC;
        return false;
    }
    struct listener *listener = &listeners->items[listeners->count++];
    *listener = (struct listener){.fd = fd, .is_passed = is_passed, .address = *address};
    bound_not_sent(fd, address);
    struct stat status;
    if (!is_passed && is_path(listener) && stat(address->socket.local.sun_path, &status) == 0) {
        listener->device = status.st_dev;
        listener->inode = status.st_ino;
    }
    return true;
}

static void close_one(struct listener *listener)
{
    struct stat status;
    const char *path = listener->address.socket.local.sun_path;
    if (listener->fd < 0)
        return;
    if (!listener->is_passed && is_path(listener) && stat(path, &status) == 0 &&
        status.st_dev == listener->device && status.st_ino == listener->inode)
        unlink(path);
    close(listener->fd);
    listener->fd = -1;
}

static void drop_from(struct listeners *listeners, unsigned first)
{
    while (listeners->count > first)
        close_one(&listeners->items[--listeners->count]);
}

/* Listens on each address of the list; if the port is free to choose, on the one that the
 * first one got. False with errno set, and `*failed` is the address; nothing is left open. */
static bool open_all(struct listeners *listeners, const struct address_list *list,
                     struct address *failed)
{
    unsigned first = listeners->count;
    unsigned port = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct address address = list->items[i];
        if (port && address_port(&address) == 0)
            address_set_port(&address, port);
        int fd = address_listen(&address, listeners->permissions, BACKLOG);
        if (fd < 0 || !add(listeners, fd, &address, false)) {
            int why = errno;
            if (fd >= 0)
                close(fd);
            drop_from(listeners, first);
            *failed = address;
            errno = why;
            return false;
        }
        port = address_port(&address);
    }
    return true;
}

bool listeners_open(struct listeners *listeners, const char *text, struct error *error)
{
    struct address_list list;
    if (address_resolve(text, ADDRESS_TO_LISTEN, &list, error) != ADDRESS_OK)
        return false;
    struct address failed;
    bool any_port = list.count > 1 && address_port(&list.items[0]) == 0;
    bool opened = open_all(listeners, &list, &failed);
    for (int tries = 1; !opened && any_port && errno == EADDRINUSE && tries < PORT_TRIES; tries++)
        opened = open_all(listeners, &list, &failed);
    if (!opened) {
        char name[ADDRESS_TEXT_SIZE];
        int why = errno;
        address_print(&failed, name);
        error_set(error, "%s: %s", name, strerror(why));
    }
    for (size_t i = 0; opened && i < list.count; i++)
        listeners->items[listeners->count - 1 - i].is_tls = address_is_tls(text);
    address_list_fini(&list);
    return opened;
}

/* One that listens already keeps its backlog. */
static bool is_listening(int fd)
{
    int listens = 0;
    socklen_t size = sizeof listens;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens;
}

/* As address_listen() has it: accepted sockets inherit these. */
static void set_options(int fd, const struct address *address)
{
    int on = 1;
    if (address->socket.any.sa_family == AF_UNIX)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

bool listeners_take(struct listeners *listeners, int fd, struct error *error)
{
    struct address address = {.size = sizeof address.socket};
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        getsockname(fd, &address.socket.any, &address.size) != 0 ||
        (!is_listening(fd) && listen(fd, BACKLOG) != 0))
        return error_set(error, "unable to listen on socket %d: %s", fd, strerror(errno));
    if (!add(listeners, fd, &address, true))
        return error_set(error, "unable to listen on socket %d: there are %d listeners already", fd,
                         LISTENERS_MAX);
    set_options(fd, &address);
    return true;
}

/* A filter that drops all packets keeps a handshake from being completed between the last accept(2)
 * and the close, which would reset the connection. A Unix socket that reads no more refuses. */
void listener_refuse(const struct listener *listener)
{
    struct sock_filter drop = {BPF_RET | BPF_K, 0, 0, 0};
    struct sock_fprog program = {1, &drop};
    if (listener->address.socket.any.sa_family == AF_UNIX)
        shutdown(listener->fd, SHUT_RD);
    else
        setsockopt(listener->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void listeners_close(struct listeners *listeners)
{
    for (unsigned i = 0; i < listeners->count; i++)
        close_one(&listeners->items[i]);
}
