/*
 * proxy: the header in which a proxy says for whom it connects: the PROXY protocol, version 1, a
 * line, and version 2, binary, as haproxy.org defines them.
 *
 * Pure: no I/O. Any thread may call it.
 */
#ifndef BANTER_SERVER_NET_PROXY_H
#define BANTER_SERVER_NET_PROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/address.h"

enum {
    PROXY_MAX_SIZE = 4096, /* of a header; one of version 1 has 107 bytes at most */
    PROXY_NAME_SIZE = 256, /* of a common name, and of an identity, with the NUL */
};

struct proxy_header {
    /* Whether it says who the client is. If not, the connection is the proxy's own, such as that of
     * a health check, and the rest is empty. */
    bool tells;
    struct address address; /* the client's */
    /* of the client's certificate, which the proxy has verified; empty: it has none */
    char common_name[PROXY_NAME_SIZE];
    char identity[PROXY_NAME_SIZE]; /* "CN=alice", as RFC 4514 writes it; empty: none */
};

enum proxy_result { PROXY_COMPLETE, PROXY_INCOMPLETE, PROXY_WRONG };

/* Reads a header off the head of what a connection has sent so far: `*used` becomes its size if it
 * is complete, and `*why`, a static text, what is wrong if it is wrong. Nothing is incomplete that
 * can't become complete within PROXY_MAX_SIZE bytes. */
enum proxy_result proxy_parse(const char *data, size_t size, struct proxy_header *header,
                              size_t *used, const char **why);

#endif
