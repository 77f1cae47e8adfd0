/*
 * peer: the address of a session's other end, in as few bytes as it takes, since every idle session
 * keeps one for the day when its end is logged.
 */
#ifndef BANTER_SERVER_PEER_H
#define BANTER_SERVER_PEER_H

#include <stdint.h>

#include "common/address.h"

struct peer {
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } ip;
    uint32_t scope_id; /* IPv6 */
    uint16_t port;     /* network byte order */
    /* AF_INET, AF_INET6 or AF_UNIX, whose peers are told by their listener's path */
    uint8_t family;
};

void peer_set(struct peer *peer, const struct address *address);

/* Writes the address as text, ADDRESS_TEXT_SIZE bytes at most. `listener` is the address on
 * which it connected. */
void peer_print(const struct peer *peer, const struct address *listener, char *text);

#endif
