/*
 * options_nats: the options of NATS, of both sides: of the handler that sends requests there, and
 * of the addresses that are served (server/nats/library.h).
 */
#ifndef BANTER_SERVER_OPTIONS_NATS_H
#define BANTER_SERVER_OPTIONS_NATS_H

#include <stdbool.h>

#include "common/error.h"
#include "server/nats/library.h"

/* Take a value each; false, with `error` set, if it is none. */
bool nats_take_run_again(struct nats_options *options, const char *value, struct error *error);
bool nats_take_try(struct nats_options *options, const char *value, struct error *error);
bool nats_take_window(struct nats_options *options, const char *value, struct error *error);
bool nats_take_group(struct nats_options *options, const char *value, struct error *error);
bool nats_take_name(struct nats_options *options, const char *value, struct error *error);

/* What there is that begins with nats:. */
struct nats_uses {
    const char *front;            /* SERVERS/SUBJECT of the handler; NULL: it is another */
    const char *const *addresses; /* and of those that are listened on */
    unsigned address_count;
};

/* Whether the options that were given are of any use, and fit together. */
bool nats_options_check(const struct nats_options *options, const struct nats_uses *uses,
                        struct error *error);

#endif
