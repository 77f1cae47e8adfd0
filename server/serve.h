/*
 * serve: what the owner of a loop does from one wait to the next, and what the threads of the pool
 * do for a server. The first page to read: everything else is below it and is called from here.
 */
#ifndef BANTER_SERVER_SERVE_H
#define BANTER_SERVER_SERVE_H

#include "server/engine/pool.h"
#include "server/session/shard.h"

/* What the pool's threads do: own shards' loops, with scratch as their context. */
extern const struct pool_ops serve_pool_ops;

/* Gives back what is left in a shard's inbox when nobody owns its loop any more. */
void serve_discard(struct shard *shard);

#endif
