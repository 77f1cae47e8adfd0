/*
 * lobby: where a connection waits that must show something before it is a client's: a proxy's, for
 * its header (net/proxy.h), and then one that speaks TLS, for its handshake (net/tls.h). It has a
 * thread of its own, so that whoever accepts never waits; that thread does not compute.
 *
 * Who waits counts as a client, and has no number. LOBBY_MAX at a time may wait for their other
 * end: when one more does, the oldest of the address that has most of them is ended. Those whose
 * header says nothing wrong are never ended for that.
 */
#ifndef BANTER_SERVER_NET_LOBBY_H
#define BANTER_SERVER_NET_LOBBY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/latency.h"
#include "server/net/lobby_config.h"

struct lobby;

/* NULL with errno set. */
struct lobby *lobby_new(const struct lobby_config *config);

/* Starts its thread. 0, or an errno. */
int lobby_start(struct lobby *lobby);

enum lobby_entry {
    LOBBY_ENTERED,
    LOBBY_FULL,         /* there are as many clients as there may be */
    LOBBY_ADDRESS_FULL, /* of its address; and as many wait to be told so as may */
    LOBBY_NO_MEMORY,
};

/* Takes a connection with its socket, and counts it. If it does not enter, the socket is still the
 * caller's. From any thread. */
enum lobby_entry lobby_enter(struct lobby *lobby, const struct accepted *accepted);

/* Sums without a lock. NULL: none. From any thread. */
void lobby_figures(const struct lobby *lobby, struct lobby_figures *figures);

/* Adds how long the handshakes took that went well, from what the client said first. NULL: none.
 * From any thread. */
void lobby_latency(const struct lobby *lobby, struct latency *sum);

/* Admits those that have shown what they must by now, closes the others, and ends the thread.
 * Nobody enters any more. NULL, or one that was not started, is left alone. */
void lobby_stop(struct lobby *lobby);

/* Ends the thread as lobby_stop() does, if it still runs. Jobs that were submitted have run by now,
 * or were released. NULL is left alone. */
void lobby_free(struct lobby *lobby);

#endif
