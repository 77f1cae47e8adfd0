/*
 * options_serving: the addresses of --listen that begin with nats: the subjects of NATS that a
 * worker machine serves.
 */
#ifndef BANTER_SERVER_OPTIONS_SERVING_H
#define BANTER_SERVER_OPTIONS_SERVING_H

#include <stdbool.h>

#include "common/error.h"
#include "server/config.h"
#include "server/nats/library.h"
#include "server/net/listener.h"

struct program_options;

struct serving_options {
    const char *addresses[LISTENERS_MAX]; /* without the prefix */
    struct server_nats nats;              /* for the config; its count is that of these */
};

/* Whether an address of --listen is one of these. */
bool serving_is_address(const char *value);

/* Takes one. False, with `error` set, if it is none. */
bool serving_take(struct serving_options *options, const char *value, struct error *error);

/* Whether all options fit together. False, with `error` set, if not. */
bool serving_check(const struct serving_options *options, const struct program_options *program,
                   struct error *error);

/* Opens the module, and fills in the config, if something is to be served. False, with `error` set,
 * if it can't be opened. The options stay where they are. */
bool serving_open(struct serving_options *options, const struct nats_options *nats,
                  struct server_config *config, struct error *error);

#endif
