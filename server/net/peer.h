/*
 * peer: a session's other end: its address, and who it is; in as few bytes as it takes, since every
 * idle session keeps one until its end is logged.
 *
 * It is of the family of the address on which it connected, so the family is not stored. The peer
 * that a proxy tells of may be of any family, and one that speaks TLS has more to be stored: its
 * listener is LISTENER_OF_ANY, whose address is of none. What a peer is never changes, and the
 * texts are made when somebody asks.
 */
#ifndef BANTER_SERVER_NET_PEER_H
#define BANTER_SERVER_NET_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/address.h"
#include "server/net/proxy.h"
#include "server/net/tally.h"

struct peer_shared;
struct tls_client;

struct peer {
    union {
        struct {
            struct in_addr ip;
            in_port_t port; /* network byte order */
        } v4;
        /* IPv6, or of LISTENER_OF_ANY: shared by its copies; NULL: it has moved */
        struct peer_shared *shared;
        struct {
            uid_t uid;
            bool is_known; /* what the uid is */
        } local;           /* of a Unix socket; its peers are logged as its path */
    };
};

enum { PEER_IDENTITY_SIZE = PROXY_NAME_SIZE };

/* A peer in words; as text that others chose, it may hold any byte but NUL. */
struct peer_text {
    char address[ADDRESS_TEXT_SIZE];
    char identity[PEER_IDENTITY_SIZE]; /* uid=1000, of a Unix peer; CN=alice; empty: none */
};

/* The peer of a connected socket, which has this address. False when memory is out. */
bool peer_init(struct peer *peer, const struct address *address, int fd);

/* What is known of a peer of LISTENER_OF_ANY. */
struct peer_facts {
    const struct address *address;
    const char *identity;   /* "": none */
    struct tally_key key;   /* which of its address's clients it is counted among */
    struct tls_client *tls; /* whatever else becomes of the peer, its owner frees it; NULL: none */
};

/* Such a peer. False when memory is out. */
bool peer_init_facts(struct peer *peer, const struct peer_facts *facts);

/* What a proxy tells of one. */
struct peer_facts peer_told(const struct proxy_header *header);

/* What it speaks TLS with. */
struct tls_client *peer_tls(const struct peer *peer);

/* Makes a copy of the struct a peer of its own, to be given back by a peer_fini() of its own; the
 * original must be there still. Any thread may call this, and peer_fini(). */
void peer_share(const struct peer *peer, const struct address *listener);

/* Writes the address as text, ADDRESS_TEXT_SIZE bytes at most. `listener` is the address on
 * which it connected. */
void peer_print(const struct peer *peer, const struct address *listener, char *text);

/* Writes all that there is to say. `listener` as above. */
void peer_describe(const struct peer *peer, const struct address *listener, struct peer_text *text);

/* Which of its address's clients it is counted among. `listener` as above. */
struct tally_key peer_tally_key(const struct peer *peer, const struct address *listener);

/* Gives back what it holds. `listener` as above. */
void peer_fini(struct peer *peer, const struct address *listener);

#endif
