/*
 * peer: the address of a session's other end, in as few bytes as it takes, since every idle session
 * keeps one until its end is logged.
 *
 * It is of the family of the address on which it connected, so the family is not stored.
 */
#ifndef BANTER_SERVER_NET_PEER_H
#define BANTER_SERVER_NET_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/address.h"

struct peer_v6;

struct peer {
    union {
        struct {
            struct in_addr ip;
            in_port_t port; /* network byte order */
        } v4;
        struct peer_v6 *v6; /* owned */
        /* nothing for a Unix socket: its peers are logged as its path */
    };
};

/* False when memory is out. */
bool peer_init(struct peer *peer, const struct address *address);

/* Writes the address as text, ADDRESS_TEXT_SIZE bytes at most. `listener` is the address on
 * which it connected. */
void peer_print(const struct peer *peer, const struct address *listener, char *text);

/* Gives back what it holds. `listener` as above. */
void peer_fini(struct peer *peer, const struct address *listener);

#endif
