/*
 * lobby_config: what a lobby is given, and what it counts.
 */
#ifndef BANTER_SERVER_NET_LOBBY_CONFIG_H
#define BANTER_SERVER_NET_LOBBY_CONFIG_H

#include <stdint.h>

#include "server/net/acceptor.h"

struct access;
struct admission;
struct job;
struct tally;
struct tls_server;

enum { LOBBY_MAX = 256 };

struct lobby_config {
    const struct listeners *listeners; /* on which they came; outlives the lobby */
    struct admission *admission;       /* where they are counted; the same */
    struct tally *tally;               /* the same, of each address; NULL: it may have any number */
    struct log *log;                   /* the same */
    int64_t timeout_ms;                /* how long each may wait; 0: for ever */
    /* Takes a connection that has shown what it must, with its socket; it is counted. Called by the
     * lobby's thread; must not block. */
    void (*admit)(void *context, const struct accepted *accepted);
    /* Has a job run soon in another thread; may run it at once if there is none. The same. */
    void (*submit)(void *context, struct job *job);
    unsigned steps;         /* of handshakes that are taken at a time */
    struct access *access;  /* asked of clients before they shake hands; may be NULL */
    struct tls_server *tls; /* NULL: no listener is for TLS */
    void *context;
};

/* What came of handshakes: of all that were begun, and of what was no TLS. */
enum handshake_result {
    HANDSHAKE_OK,
    HANDSHAKE_FAILED,
    HANDSHAKE_TIMEOUT, /* it could not wait any longer */
    HANDSHAKE_DENIED,  /* by its address, or its user */
    HANDSHAKE_RESULTS,
};

struct lobby_figures {
    uint64_t handshakes[HANDSHAKE_RESULTS]; /* so far */
    uint64_t refused_plain; /* those of them that were told, in the clear, that TLS is required */
    unsigned waiting;       /* connections that are to shake hands, and have not yet */
};

#endif
