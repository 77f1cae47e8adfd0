/*
 * server_state: what the files of the server share.
 */
#ifndef BANTER_SERVER_SERVER_STATE_H
#define BANTER_SERVER_SERVER_STATE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "server/engine/executor.h"
#include "server/engine/monitor.h"
#include "server/engine/pool.h"
#include "server/engine/scaler.h"
#include "server/log/log.h"
#include "server/net/acceptor.h"
#include "server/net/admission.h"
#include "server/server.h"
#include "server/session/memory.h"
#include "server/session/shard.h"

enum { SERVER_SPARES = 2 /* for each loop, kept for the hand-over */ };

struct server {
    struct shared shared;
    struct memory memory;
    struct acceptor acceptor;
    struct admission admission;
    struct scaler scaler;
    struct shard *shards;
    struct loop **loops;  /* of the shards, for the scaler and the monitor */
    unsigned shard_count; /* of them run: scaler.count */
    unsigned cores;
    unsigned steps;     /* of handshakes that are taken at a time; 0: there are no handshakes */
    bool keeps_buffers; /* the pool of large buffers is this server's */
    bool adapts;        /* how many of the loops are in use is found out */
    struct nats_service **services; /* owned */
    unsigned service_count;
    struct pool *pool;
    struct executor *executor;
    _Atomic(struct monitor *) monitor; /* NULL before it runs, or if there is none */
    /* of a server that was given none: it only counts. NULL: the log is the caller's */
    struct log *own_log;
    int stop_fd;   /* eventfd */
    unsigned left; /* threads left behind */
};

static inline const struct server_config *server_config_of(const struct server *server)
{
    return &server->shared.settings.config;
}

/* How many have been taken so far. */
uint64_t server_count_requests(const struct server *server);

#endif
