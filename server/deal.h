/*
 * deal: what becomes of a connection: whether it is a client, or why it is refused; and the shard
 * that it goes to.
 */
#ifndef BANTER_SERVER_DEAL_H
#define BANTER_SERVER_DEAL_H

#include "server/net/acceptor.h"
#include "server/session/scratch.h"
#include "server/session/shard.h"
#include "server/session/transfer.h"

/* Sends a connection, whose socket it takes, to the shard to which it is assigned; `shard` is the
 * one that the caller owns, which needs no inbox, or NULL, with a NULL `scratch`. False with errno
 * set: out of memory, and it is closed. */
bool deal(const struct shared *shared, const struct accepted *accepted, struct shard *shard,
          struct scratch *scratch);

/* Makes a session of what has come to its shard. By the owner of its loop. */
void deal_begin(struct transfer *transfer, struct shard *shard, struct scratch *scratch);

#endif
