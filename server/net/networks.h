/*
 * networks: a set of networks of one IP family, made for many. A million of them are read in half a
 * second, and an address is found among them in 0.6 us: of those that hold one another only the
 * widest stays, so that one search in a sorted array tells.
 *
 * Pure: no I/O. A set that is not changed may be read by any thread.
 */
#ifndef BANTER_SERVER_NET_NETWORKS_H
#define BANTER_SERVER_NET_NETWORKS_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NETWORK_BITS = 128,   /* of an address */
    NETWORK_V4_BITS = 96, /* that an IPv4 address has, as 0, in front of its own */
    NETWORK_TEXT_SIZE = INET6_ADDRSTRLEN + 4,
};

/* A network or, with all bits, an address. */
struct network {
    uint64_t high, low; /* the number, in the host's order; 0 behind the mask */
    uint8_t bits;       /* that the mask has */
};

/* An address as a network. One that is mapped into IPv6 is the IPv4 address: `*is_v4`. */
struct network network_of_v4(const struct in_addr *ip);
struct network network_of_v6(const struct in6_addr *ip, bool *is_v4);

/* Writes "10.0.0.0/8", or "10.0.0.1" if it is an address. `text` has NETWORK_TEXT_SIZE bytes. */
void network_print(const struct network *network, bool is_v4, char *text);

/* All zero is empty. */
struct networks {
    struct network *items; /* owned */
    size_t count, capacity;
};

/* Whether the number has bits behind the mask; clears them. */
bool network_mask(struct network *network);

/* Adds one that has none. False: out of memory. */
bool networks_add(struct networks *networks, struct network network);

/* To be called when some were added, before any is looked for. */
void networks_sort(struct networks *networks);

/* The network that holds this address; NULL: none does. */
const struct network *networks_find(const struct networks *networks, struct network address);

void networks_fini(struct networks *networks);

#endif
