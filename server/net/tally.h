/*
 * tally: how many clients each address has now, and whether one more may come (--max-per-address).
 * An address is an IPv4 address, the first half of an IPv6 address, or a Unix user.
 *
 * Any thread may call these; each client takes the lock twice.
 */
#ifndef BANTER_SERVER_NET_TALLY_H
#define BANTER_SERVER_NET_TALLY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct tally;

struct tally_key {
    uint64_t number; /* the address, or its half, or the user's */
    sa_family_t family;
};

/* The key of an address that is not a Unix socket's. */
struct tally_key tally_key_v4(const struct in_addr *ip);
struct tally_key tally_key_v6(const struct in6_addr *ip);

/* For up to this many clients, `most` of each address. NULL: out of memory. */
struct tally *tally_new(unsigned clients, unsigned most);

/* NULL is left alone. */
void tally_free(struct tally *tally);

/* Counts a client. False: its address has enough, and it is not counted. A NULL tally takes all. */
bool tally_add(struct tally *tally, struct tally_key key);

/* One that was counted has left. */
void tally_remove(struct tally *tally, struct tally_key key);

/* How many there are of this address. */
unsigned tally_count(struct tally *tally, struct tally_key key);

#endif
