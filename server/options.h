/*
 * options: banterd's command line.
 */
#ifndef BANTER_SERVER_OPTIONS_H
#define BANTER_SERVER_OPTIONS_H

#include <stdbool.h>

#include "common/error.h"
#include "server/options_state.h"

/* Reads the command line, and fills in the defaults. False, with `error` set, if it makes no sense.
 * The options point into argv and to themselves: they must stay where they are. In any case
 * options_free() is called in the end. */
bool options_parse(struct options *options, int argc, char **argv, struct error *error);

/* Takes the sockets that were passed to the process (server/net/passed.h). If there are none, nor
 * an address, the default one is listened on. False, with `error` set, if they can't be used. */
bool options_take_sockets(struct options *options, struct error *error);

/* Opens what clients that speak TLS need, if there may be any; behind options_take_sockets().
 * False, with `error` set, if a file can't be used. */
bool options_open_tls(struct options *options, struct error *error);

/* Opens what the options have to serve for NATS. False, with `error` set, if it can't be. */
bool options_open_nats(struct options *options, struct error *error);

void options_free(struct options *options);

/* The text that --help prints; the caller frees it. NULL: out of memory. */
char *options_help(void);

#endif
