/*
 * variables: what an instance that is started for a client finds about it in its environment.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_VARIABLES_H
#define BANTER_SERVER_HANDLERS_PROGRAM_VARIABLES_H

#include <stdint.h>

#include "common/address.h"
#include "server/handlers/program/spawn.h"

/* The strings, which the options point to until the start. */
struct variables {
    char session[40];
    char address[sizeof "BANTER_ADDRESS=" + ADDRESS_TEXT_SIZE];
};

/* Adds BANTER_SESSION and, unless it is NULL, BANTER_ADDRESS to options that have none. */
void variables_set(struct variables *variables, struct spawn_options *options, uint64_t session,
                   const char *address);

#endif
