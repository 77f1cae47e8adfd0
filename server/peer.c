/* peer: to and from a full socket address. */
#include "server/peer.h"

void peer_set(struct peer *peer, const struct address *address)
{
    *peer = (struct peer){.family = (uint8_t) address->socket.any.sa_family};
    if (peer->family == AF_INET) {
        peer->ip.v4 = address->socket.v4.sin_addr;
        peer->port = address->socket.v4.sin_port;
    } else if (peer->family == AF_INET6) {
        peer->ip.v6 = address->socket.v6.sin6_addr;
        peer->port = address->socket.v6.sin6_port;
        peer->scope_id = address->socket.v6.sin6_scope_id;
    }
}

void peer_print(const struct peer *peer, const struct address *listener, char *text)
{
    struct address address = {0};
    if (peer->family == AF_INET) {
        address.size = sizeof address.socket.v4;
        address.socket.v4 = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_addr = peer->ip.v4, .sin_port = peer->port};
    } else if (peer->family == AF_INET6) {
        address.size = sizeof address.socket.v6;
        address.socket.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                                  .sin6_addr = peer->ip.v6,
                                                  .sin6_port = peer->port,
                                                  .sin6_scope_id = peer->scope_id};
    } else {
        address = *listener;
    }
    address_print(&address, text);
}
