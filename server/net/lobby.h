/*
 * lobby: where a connection waits that must show something before it is a client's: a proxy's, for
 * its header (net/proxy.h). It has a thread of its own, so that whoever accepts never waits; what
 * is to come with other steps, such as a handshake, goes on here.
 *
 * Who waits counts as a client, and has no number. LOBBY_MAX at a time may wait for their other
 * end: when one more does, the oldest of the address that has most of them is ended. Those that say
 * nothing wrong are never ended for that.
 */
#ifndef BANTER_SERVER_NET_LOBBY_H
#define BANTER_SERVER_NET_LOBBY_H

#include <stdbool.h>
#include <stdint.h>

#include "server/net/acceptor.h"

enum { LOBBY_MAX = 256 };

struct lobby;

struct lobby_config {
    const struct listeners *listeners; /* on which they came; outlives the lobby */
    struct admission *admission;       /* where they are counted; the same */
    struct log *log;                   /* the same */
    int64_t timeout_ms;                /* how long each may wait; 0: for ever */
    /* Takes a connection that has shown what it must, with its socket; it is counted. Called by the
     * lobby's thread; must not block. */
    void (*admit)(void *context, const struct accepted *accepted);
    void *context;
};

/* NULL with errno set. */
struct lobby *lobby_new(const struct lobby_config *config);

/* Starts its thread. 0, or an errno. */
int lobby_start(struct lobby *lobby);

/* Takes a connection, which is counted, with its socket. False: out of memory, and the socket is
 * still the caller's. From any thread. */
bool lobby_enter(struct lobby *lobby, const struct accepted *accepted);

/* Admits those that have shown what they must by now, closes the others, and ends the thread.
 * Nobody enters any more. NULL, or one that was not started, is left alone. */
void lobby_stop(struct lobby *lobby);

/* Ends the thread as lobby_stop() does, if it still runs. NULL is left alone. */
void lobby_free(struct lobby *lobby);

#endif
