/*
 * inquiry: what somebody who owns no loop wants of the sessions: their list, or the end of one. It
 * goes to each loop that runs, through the inbox, and the owners answer it a few sessions at a
 * time, between the turns of all others.
 *
 * Whoever asks waits for inquiry_fd() as long as it likes, and then lets go of it; what loops have
 * not answered by then, they answer to nobody.
 */
#ifndef BANTER_SERVER_SESSION_INQUIRY_H
#define BANTER_SERVER_SESSION_INQUIRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/session/scratch.h"
#include "server/session/shard.h"

struct inquiry;

enum inquiry_kind {
    INQUIRY_LIST,  /* of all sessions, or of one */
    INQUIRY_CLOSE, /* one: what it has sent is answered, and it is closed in order */
};

/* ---- for the one who asks, in any thread ---- */

/* Asks the first `count` shards for the session with this number; 0: for all. NULL, with errno set,
 * if memory or descriptors are out. */
struct inquiry *inquiry_new(const struct shared *shared, unsigned count, enum inquiry_kind kind,
                            uint64_t number);

/* Readable once all loops have answered. The inquiry's. */
int inquiry_fd(const struct inquiry *inquiry);

/* Whether all have, but for those that do not run any more. */
bool inquiry_is_over(const struct inquiry *inquiry);

/* How many of the sessions that were asked for there are. When it is over. */
size_t inquiry_found(const struct inquiry *inquiry);

/* Appends the list as a JSON array of objects, each with these keys:
 *
 * session, address, identity (if any), since (if config.keeps_since), idle_s, requests_pending
 * (taken, and not replied to yet), unsent_bytes (of replies that the kernel has not taken)
 *
 * When it is over. False if memory is or was out, or if it were longer than `most` bytes: then the
 * buffer is as it was. */
bool inquiry_list(const struct inquiry *inquiry, size_t most, struct buffer *out);

/* Lets go of it. */
void inquiry_release(struct inquiry *inquiry);

/* ---- for serve ---- */

/* Answers some more, in the owner of the shard's loop; comes again through the inbox if that was
 * not all. */
void inquiry_go_on(struct inbox_node *node, struct shard *shard, struct scratch *scratch);

/* Nobody owns the loop any more. */
void inquiry_discard(struct inbox_node *node);

#endif
