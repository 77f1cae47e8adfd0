/*
 * variables: what an instance that is started for a client finds about it in its environment.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_VARIABLES_H
#define BANTER_SERVER_HANDLERS_PROGRAM_VARIABLES_H

#include <stdint.h>

#include "server/handlers/program/spawn.h"
#include "server/net/peer.h"

/* The strings, which the options point to until the start. */
struct variables {
    char session[40];
    char address[sizeof "BANTER_ADDRESS=" + ADDRESS_TEXT_SIZE];
    char identity[sizeof "BANTER_IDENTITY=" + PEER_IDENTITY_SIZE];
};

/* Adds BANTER_SESSION and, unless the peer is NULL, BANTER_ADDRESS and BANTER_IDENTITY, which may
 * be empty, to options that have none. */
void variables_set(struct variables *variables, struct spawn_options *options, uint64_t session,
                   const struct peer_text *peer);

#endif
