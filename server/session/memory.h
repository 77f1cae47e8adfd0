/*
 * memory: how much all sessions of a server hold, and what that means for those that would hold
 * more. Each shard counts for itself and adds what has changed from time to time; a session that
 * holds nothing behind its turn, as after a quick request, changes nothing.
 *
 * Up to the mark everybody is read. Above it those are not read any more that hold more than a
 * little, but for one at a time, so that it can complete its request and give the memory back: the
 * room between mark and bound is for that one. Above the bound nobody else is read.
 *
 * Any thread may call these. What waits is the caller's to find.
 */
#ifndef BANTER_SERVER_SESSION_MEMORY_H
#define BANTER_SERVER_SESSION_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum memory_level {
    MEMORY_FREE,
    MEMORY_SHORT, /* above the mark */
    MEMORY_OUT,   /* above the bound */
};

/* All zero: no bound. */
struct memory {
    size_t bound, mark; /* bytes; 0: no bound */
    size_t grain;       /* bytes; a shard adds its changes once they are more */
    _Atomic size_t held;
    _Atomic unsigned level;
    _Atomic int64_t logged_ms; /* when it was last logged that it runs short; 0: never */
    _Atomic bool waits;        /* somebody is not read */
    _Atomic uint64_t chosen;   /* the number of the session that is read above the mark; 0: none */
};

/* A bound, in bytes, for this number of shards. At least two requests of `max_message` bytes fit.
 */
void memory_init(struct memory *memory, size_t bound, size_t max_message, unsigned shards);

static inline enum memory_level memory_level(const struct memory *memory)
{
    return (enum memory_level) atomic_load_explicit(&memory->level, memory_order_relaxed);
}

struct memory_change {
    bool has_room;   /* those that are not read are to be asked again */
    bool runs_short; /* the mark has just been passed */
};

/* Sessions hold this many bytes more, or fewer if it is negative. */
struct memory_change memory_add(struct memory *memory, ptrdiff_t bytes);

/* Somebody is not read at this level, and will be asked again once it is lower. False: it is lower
 * already. */
bool memory_wait(struct memory *memory, enum memory_level level);

/* Whether the session with this number is the one that is read above the mark; it becomes that if
 * there is none. */
bool memory_choose(struct memory *memory, uint64_t number);

/* It is that no more. True: those that are not read are to be asked again. */
bool memory_unchoose(struct memory *memory);

#endif
