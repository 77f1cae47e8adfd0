/*
 * linger: the sessions of a shard that are being closed in order, the oldest first. Each still has
 * a descriptor, though it is no client any more, so they are counted and bounded: the oldest makes
 * room for the next one, or for a client.
 *
 * Only the owner of the shard's loop calls these, except as stated.
 */
#ifndef BANTER_SERVER_SESSION_LINGER_H
#define BANTER_SERVER_SESSION_LINGER_H

#include <stdatomic.h>
#include <stdbool.h>

struct session;

enum { LINGER_MAX = 512 };

/* All zero is empty. */
struct linger_list {
    _Atomic unsigned count; /* read by all */
    struct session *sessions[LINGER_MAX];
};

/* How many there are. From any thread. */
static inline unsigned linger_count(const struct linger_list *linger)
{
    return atomic_load_explicit(&linger->count, memory_order_relaxed);
}

/* NULL: there is none. */
struct session *linger_oldest(const struct linger_list *linger);

/* Adds the newest; there are fewer than LINGER_MAX. */
void linger_add(struct linger_list *linger, struct session *session);

/* Removes it, if it was added. */
void linger_remove(struct linger_list *linger, const struct session *session);

#endif
