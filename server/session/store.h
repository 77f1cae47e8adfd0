/*
 * session_store: the memory of one loop's sessions.
 *
 * Sessions live in blocks, side by side: an idle one costs its own bytes and nothing else, no
 * malloc header, no entry in a list. A block is aligned to its size, so that the address of a
 * session tells its block, and the block its loop. What a session needs while it works is lent to
 * it for the turn, or as long as something is under way.
 *
 * Owned by the loop; only its owner calls these.
 */
#ifndef BANTER_SERVER_SESSION_STORE_H
#define BANTER_SERVER_SESSION_STORE_H

#include <stddef.h>
#include <stdint.h>

struct loop;
struct session;
struct session_active;

enum { SESSION_BLOCK_BYTES = 128 << 10 };

/* The first bytes of a block; the sessions follow. Pages that were never used cost no memory. */
struct session_block {
    struct loop *loop;
    size_t count;        /* sessions in it */
    uint64_t in_use[43]; /* a bit for each */
};

/* All zero is empty; session_store_take() is told the loop. */
struct session_store {
    struct session_block **blocks; /* owned; NULL: a block that was given back */
    size_t block_count, block_capacity;
    size_t empty_blocks; /* kept: one, so that a session that comes and goes costs no block */
    size_t count;        /* sessions in it */
    struct session_active *works; /* that may be lent */
    unsigned work_count;
};

/* A session, all zero. NULL: out of memory. */
struct session *session_store_take(struct session_store *store, struct loop *loop);

/* Gives a session back. */
void session_store_put(struct session_store *store, struct session *session);

/* The first session at *place or behind it that is not closed, and moves *place behind it; NULL
 * where there is none. 0 is the first place. Sessions may come and go meanwhile. */
struct session *session_store_next(const struct session_store *store, size_t *place);

/* Work, all zero. NULL: out of memory. */
struct session_active *session_store_lend(struct session_store *store);

/* Takes work back; its buffers hold no memory. */
void session_store_return(struct session_store *store, struct session_active *active);

/* Gives all memory back; there are no sessions any more. */
void session_store_fini(struct session_store *store);

static inline struct session_block *session_block(const struct session *session)
{
    return (struct session_block *) ((uintptr_t) session & ~(uintptr_t) (SESSION_BLOCK_BYTES - 1));
}

/* The loop to which a session belongs. */
static inline struct loop *session_loop(const struct session *session)
{
    return session_block(session)->loop;
}

#endif
