/* peer: to and from a full socket address. */
#include "server/net/peer.h"

#include <stdlib.h>

struct peer_v6 {
    struct in6_addr ip;
    uint32_t scope_id;
    in_port_t port; /* network byte order */
};

bool peer_init(struct peer *peer, const struct address *address)
{
    *peer = (struct peer){0};
    if (address->socket.any.sa_family == AF_INET) {
        peer->v4.ip = address->socket.v4.sin_addr;
        peer->v4.port = address->socket.v4.sin_port;
    } else if (address->socket.any.sa_family == AF_INET6) {
        peer->v6 = malloc(sizeof *peer->v6);
        if (!peer->v6)
            return false;
        *peer->v6 = (struct peer_v6){.ip = address->socket.v6.sin6_addr,
                                     .scope_id = address->socket.v6.sin6_scope_id,
                                     .port = address->socket.v6.sin6_port};
    }
    return true;
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

void peer_fini(struct peer *peer, const struct address *listener)
{
    if (listener->socket.any.sa_family == AF_INET6)
        free(peer->v6);
}
