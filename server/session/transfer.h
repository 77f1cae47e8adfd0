/*
 * arrival: a connected socket on its way to a loop, which makes a session of it: from the acceptor,
 * or from another loop where it was a session that had nothing under way (server/engine/scaler.h).
 */
#ifndef BANTER_SERVER_SESSION_TRANSFER_H
#define BANTER_SERVER_SESSION_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/engine/inbox.h"
#include "server/net/peer.h"

struct address;
struct loop;
struct session;
struct scratch;

struct transfer {
    struct inbox_node node; /* first */
    uint64_t number;        /* the session's */
    struct peer peer;
    int fd; /* owned */
    uint16_t listener;
    bool has_moved;    /* from another loop; then what follows is the session's too */
    uint8_t cost;      /* enum cost */
    uint64_t since_ms; /* when something happened last */
};

/* For the acceptor, in any thread: takes the socket. NULL when memory is out: the socket is still
 * the caller's. */
struct transfer *transfer_new(int fd, uint64_t number, const struct address *address,
                            uint16_t listener);

/* One that never reaches its loop: closes the socket. */
void transfer_free(struct transfer *transfer, const struct loop *loop);

/* Makes a session of it, in the owner of the loop that it has reached, and frees it. One of which
 * none can be made is closed. */
void transfer_end(struct transfer *transfer, struct loop *loop, struct scratch *scratch);

/* At the end of a session's turn, in the owner of its loop: where the session belongs to another
 * loop by now, and nothing holds it here, it is sent there, and is closed here. */
void transfer_if_reassigned(struct session *session);

#endif
