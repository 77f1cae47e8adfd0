/* peer: to and from a full socket address, and what the kernel knows of the other end. */
#include "server/net/peer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct peer_shared {
    atomic_uint owners;
};

struct peer_v6 {
    struct peer_shared shared; /* first */
    struct in6_addr ip;
    uint32_t scope_id;
    in_port_t port; /* network byte order */
};

struct peer_any {
    struct peer_shared shared; /* first */
    struct tls_client *tls;
    struct tally_key key;
    struct address address;
    char identity[]; /* empty: none */
};

static const struct peer_v6 *v6_of(const struct peer *peer)
{
    return (const struct peer_v6 *) peer->shared;
}

static const struct peer_any *any_of(const struct peer *peer)
{
    return (const struct peer_any *) peer->shared;
}

static bool is_shared(const struct address *listener)
{
    int family = listener->socket.any.sa_family;
    return family == AF_INET6 || family == AF_UNSPEC;
}

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
        struct peer_v6 *v6 = malloc(sizeof *v6);
        if (!v6)
            return false;
        *v6 = (struct peer_v6){.shared.owners = 1,
                               .ip = address->socket.v6.sin6_addr,
                               .scope_id = address->socket.v6.sin6_scope_id,
                               .port = address->socket.v6.sin6_port};
        peer->shared = &v6->shared;
    } else if (address->socket.any.sa_family == AF_UNIX) {
        ask_uid(peer, fd);
    }
    return true;
}

bool peer_init_facts(struct peer *peer, const struct peer_facts *facts)
{
    size_t size = strlen(facts->identity) + 1;
    struct peer_any *any = malloc(sizeof *any + size);
    *peer = (struct peer){0};
    if (!any)
        return false;
    any->shared.owners = 1;
    any->tls = facts->tls;
    any->key = facts->key;
    any->address = *facts->address;
    memcpy(any->identity, facts->identity, size);
    peer->shared = &any->shared;
    return true;
}

/* Of clients that a proxy has from Unix sockets nobody knows the user. */
static struct tally_key told_key(const struct address *address)
{
    if (address->socket.any.sa_family == AF_INET)
        return tally_key_v4(&address->socket.v4.sin_addr);
    if (address->socket.any.sa_family == AF_INET6)
        return tally_key_v6(&address->socket.v6.sin6_addr);
    return (struct tally_key){UINT64_MAX, AF_UNIX};
}

struct peer_facts peer_told(const struct proxy_header *header)
{
    return (struct peer_facts){
        .address = &header->address,
        .identity = header->identity,
        .key = told_key(&header->address),
    };
}

struct tls_client *peer_tls(const struct peer *peer) { return any_of(peer)->tls; }

void peer_share(const struct peer *peer, const struct address *listener)
{
    if (is_shared(listener) && peer->shared)
        atomic_fetch_add_explicit(&peer->shared->owners, 1, memory_order_relaxed);
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
                                                  .sin6_addr = v6_of(peer)->ip,
                                                  .sin6_port = v6_of(peer)->port,
                                                  .sin6_scope_id = v6_of(peer)->scope_id};
    } else if (listener->socket.any.sa_family == AF_UNSPEC) {
        address = any_of(peer)->address;
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
    if (family == AF_UNSPEC)
        snprintf(text->identity, sizeof text->identity, "%s", any_of(peer)->identity);
}

struct tally_key peer_tally_key(const struct peer *peer, const struct address *listener)
{
    if (listener->socket.any.sa_family == AF_UNSPEC)
        return any_of(peer)->key;
    if (listener->socket.any.sa_family == AF_INET)
        return tally_key_v4(&peer->v4.ip);
    if (listener->socket.any.sa_family == AF_INET6)
        return tally_key_v6(&v6_of(peer)->ip);
    return (struct tally_key){peer->local.is_known ? peer->local.uid : UINT64_MAX, AF_UNIX};
}

void peer_fini(struct peer *peer, const struct address *listener)
{
    if (is_shared(listener) && peer->shared &&
        atomic_fetch_sub_explicit(&peer->shared->owners, 1, memory_order_acq_rel) == 1)
        free(peer->shared);
}
