/*
 * store: the memory of one shard's sessions.
 *
 * Sessions live in blocks, side by side: an idle one costs its own bytes and nothing else, no
 * malloc header, no entry in a list. A block is aligned to its size, so that the address of a
 * session leads to its block, and the block to its shard. What a session needs while it is active
 * is lent to it.
 *
 * Owned by the shard; only its loop's owner calls these.
 */
#ifndef BANTER_SERVER_SESSION_STORE_H
#define BANTER_SERVER_SESSION_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct session;
struct session_active;
struct shard;

enum { STORE_BLOCK_BYTES = 128 << 10 };

/* The first bytes of a block; the sessions follow. Pages that were never used cost no memory. */
struct store_block {
    struct shard *shard;
    uint32_t *since_s;   /* store_since() of each; owned; NULL: not kept */
    size_t count;        /* sessions in it */
    uint64_t in_use[43]; /* a bit for each */
};

/* All zero is empty, but for what is to be kept; store_take() learns the shard. */
struct store {
    bool keeps_since;            /* when each session has begun, which costs 4 bytes more */
    struct store_block **blocks; /* owned; NULL: a block that was given back */
    size_t block_count, block_capacity;
    size_t empty_blocks;  /* kept: one, so that a session that comes and goes costs no block */
    _Atomic size_t count; /* sessions in it; read by all */
    SLIST_HEAD(, session_active) spares; /* that may be lent */
    unsigned spare_count;
};

/* A session, all zero. NULL: out of memory. */
struct session *store_take(struct store *store, struct shard *shard);

/* Gives a session back. */
void store_put(struct store *store, struct session *session);

/* The first session at *place or behind it that is not closed, and moves *place behind it; NULL if
 * there is none. 0 is the first place. Sessions may come and go meanwhile. */
struct session *store_next(const struct store *store, size_t *place);

/* What an active session needs, all zero. NULL: out of memory. */
struct session_active *store_lend(struct store *store);

/* Takes that back; its buffers hold no memory. */
void store_return(struct store *store, struct session_active *active);

/* Gives all memory back; there are no sessions any more. */
void store_fini(struct store *store);

static inline struct store_block *store_block_of(const struct session *session)
{
    return (struct store_block *) ((uintptr_t) session & ~(uintptr_t) (STORE_BLOCK_BYTES - 1));
}

/* When it has begun, for somebody else to set and to read; NULL: that is not kept. */
uint32_t *store_since(const struct session *session);

/* The shard in which a session lives. */
static inline struct shard *session_shard(const struct session *session)
{
    return store_block_of(session)->shard;
}

#endif
