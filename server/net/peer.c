/* peer: to and from a full socket address, and what the kernel knows of the other end. */
#include "server/net/peer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct peer_v6 {
    atomic_uint owners;
    struct in6_addr ip;
    uint32_t scope_id;
    in_port_t port; /* network byte order */
};

/* Asked at once, since the descriptor may be another connection's by the time that it matters. */
static void ask_uid(struct peer *peer, int fd)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    peer->local.is_known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0;
    if (peer->local.is_known)
        peer->local.uid = credentials.uid;
}

bool peer_init(struct peer *peer, const struct address *address, int fd)
{
    *peer = (struct peer){0};
    if (address->socket.any.sa_family == AF_INET) {
        peer->v4.ip = address->socket.v4.sin_addr;
        peer->v4.port = address->socket.v4.sin_port;
    } else if (address->socket.any.sa_family == AF_INET6) {
        peer->v6 = malloc(sizeof *peer->v6);
        if (!peer->v6)
            return false;
        *peer->v6 = (struct peer_v6){.owners = 1,
                                     .ip = address->socket.v6.sin6_addr,
                                     .scope_id = address->socket.v6.sin6_scope_id,
                                     .port = address->socket.v6.sin6_port};
    } else if (address->socket.any.sa_family == AF_UNIX) {
        ask_uid(peer, fd);
    }
    return true;
}

void peer_share(const struct peer *peer, const struct address *listener)
{
    if (listener->socket.any.sa_family == AF_INET6 && peer->v6)
        atomic_fetch_add_explicit(&peer->v6->owners, 1, memory_order_relaxed);
}

void peer_print(const struct peer *peer, const struct address *listener, char *text)
{
    struct address address = {0};
    if (listener->socket.any.sa_family == AF_INET) {
        address.size = sizeof address.socket.v4;
        address.socket.v4 = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_addr = peer->v4.ip, .sin_port = peer->v4.port};
    } else if (listener->socket.any.sa_family == AF_INET6) {
        address.size = sizeof address.socket.v6;
        address.socket.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                                  .sin6_addr = peer->v6->ip,
                                                  .sin6_port = peer->v6->port,
                                                  .sin6_scope_id = peer->v6->scope_id};
    } else {
        address = *listener;
    }
    address_print(&address, text);
}

void peer_describe(const struct peer *peer, const struct address *listener, struct peer_text *text)
{
    int family = listener->socket.any.sa_family;
    peer_print(peer, listener, text->address);
    text->identity[0] = '\0';
    if (family == AF_UNIX && peer->local.is_known)
        snprintf(text->identity, sizeof text->identity, "uid=%lu", (unsigned long) peer->local.uid);
}

struct tally_key peer_tally_key(const struct peer *peer, const struct address *listener)
{
    if (listener->socket.any.sa_family == AF_INET)
        return tally_key_v4(&peer->v4.ip);
    if (listener->socket.any.sa_family == AF_INET6)
        return tally_key_v6(&peer->v6->ip);
    return (struct tally_key){peer->local.is_known ? peer->local.uid : UINT64_MAX, AF_UNIX};
}

void peer_fini(struct peer *peer, const struct address *listener)
{
    if (listener->socket.any.sa_family == AF_INET6 && peer->v6 &&
        atomic_fetch_sub_explicit(&peer->v6->owners, 1, memory_order_acq_rel) == 1)
        free(peer->v6);
}
