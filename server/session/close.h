/*
 * close: the ends of a session in its shard: at once, in order, or by leaving for another shard.
 *
 * The orderly close: our sending half is ended, and what still comes is read and thrown away, for
 * SESSION_LINGER_MS at most, or until descriptors are needed, since closing a socket with unread
 * bytes would reset the connection and destroy replies on their way.
 */
#ifndef BANTER_SERVER_SESSION_CLOSE_H
#define BANTER_SERVER_SESSION_CLOSE_H

#include "server/session/scratch.h"
#include "server/session/state.h"

struct shard;

/* Closes at once. The session's memory stays until the batch is over (shard_free_dead()). Its
 * handler's session_ended() is called here. */
void close_now(struct session *session);

/* Begins the orderly close, or closes at once if the other end has ended its half already. */
void close_in_order(struct session *session);

/* Closes those first that have lingered longest, as long as descriptors are needed. */
void close_lingering(struct shard *shard);

/* Reads and throws away what comes while an orderly close is under way. */
void close_linger(struct session *session, struct scratch *scratch);

/* Takes the session out of its shard, as a part of its close or of its way to another one: the
 * socket, still open, is the caller's; the session's memory stays as above. */
void close_leave(struct session *session);

#endif
