/*
 * server_nats: the services for NATS that a server has, from its opening to its end.
 */
#ifndef BANTER_SERVER_SERVER_NATS_H
#define BANTER_SERVER_SERVER_NATS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "server/server_state.h"

/* Opens those of the config. False, with `error` set, if one can't be. */
bool server_nats_open(struct server *server, struct error *error);

/* Lets them serve, when there is an executor, and says so in the log. */
void server_nats_begin(struct server *server);

/* Lets them begin to leave; and waits until they have, or until then. */
void server_nats_stop(struct server *server);
void server_nats_wait(struct server *server, int64_t until_ms);

/* Ends their threads, before the handler is closed; gives them back, behind that. */
void server_nats_end(struct server *server);
void server_nats_free(struct server *server);

/* What they have done, added to what the loops have. */
uint64_t server_nats_requests(const struct server *server);
void server_nats_stats(const struct server *server, struct server_stats *stats);
void server_nats_latency(const struct server *server, enum server_answered how,
                         struct latency *latency);

#endif
