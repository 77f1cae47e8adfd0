/* session_store: blocks of slots, the lowest first, so that those behind empty and can go. */
#include "server/session/store.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "server/session/session.h"

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void) (at))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void) (at))
#endif

enum {
    SLOTS = (SESSION_BLOCK_BYTES - sizeof(struct session_block)) / sizeof(struct session),
    KEPT_WORKS = 64, /* more than so many that nobody needs are given back */
};

static_assert(SLOTS <= 64 * sizeof((struct session_block *) 0)->in_use / sizeof(uint64_t),
              "each session of a block has its bit");

static struct session *slot(struct session_block *block, size_t index)
{
    return (struct session *) (block + 1) + index;
}

static bool is_used(const struct session_block *block, size_t index)
{
    return block->in_use[index / 64] >> index % 64 & 1;
}

/* ---- blocks ---- */

/* A new block, in the lowest free place of the table. */
static struct session_block *add_block(struct session_store *store, struct loop *loop)
{
    size_t place = 0;
    while (place < store->block_count && store->blocks[place])
        place++;
    if (place == store->block_capacity) {
        size_t capacity = place ? 2 * place : 4;
        struct session_block **blocks = realloc(store->blocks, capacity * sizeof *blocks);
        if (!blocks)
            return NULL;
        store->blocks = blocks;
        store->block_capacity = capacity;
    }
    struct session_block *block = aligned_alloc(SESSION_BLOCK_BYTES, SESSION_BLOCK_BYTES);
    if (!block)
        return NULL;
    *block = (struct session_block){.loop = loop};
    ASAN_POISON_MEMORY_REGION(block + 1, SESSION_BLOCK_BYTES - sizeof *block);
    store->blocks[place] = block;
    if (place == store->block_count)
        store->block_count++;
    store->empty_blocks++;
    return block;
}

/* The lowest block with room. */
static struct session_block *find_room(struct session_store *store, struct loop *loop)
{
    for (size_t i = 0; i < store->block_count; i++)
        if (store->blocks[i] && store->blocks[i]->count < SLOTS)
            return store->blocks[i];
    return add_block(store, loop);
}

static void free_block(struct session_store *store, struct session_block *block)
{
    size_t place = 0;
    while (store->blocks[place] != block)
        place++;
    store->blocks[place] = NULL;
    ASAN_UNPOISON_MEMORY_REGION(block, SESSION_BLOCK_BYTES);
    free(block);
}

/* ---- sessions ---- */

struct session *session_store_take(struct session_store *store, struct loop *loop)
{
    struct session_block *block = find_room(store, loop);
    if (!block)
        return NULL;
    size_t word = 0;
    while (block->in_use[word] == UINT64_MAX)
        word++;
    size_t index = 64 * word + (size_t) __builtin_ctzll(~block->in_use[word]);
    block->in_use[word] |= (uint64_t) 1 << index % 64;
    if (block->count++ == 0)
        store->empty_blocks--;
    store->count++;
    struct session *session = slot(block, index);
    ASAN_UNPOISON_MEMORY_REGION(session, sizeof *session);
    *session = (struct session){0};
    return session;
}

void session_store_put(struct session_store *store, struct session *session)
{
    struct session_block *block = session_block(session);
    size_t index = (size_t) (session - slot(block, 0));
    block->in_use[index / 64] &= ~((uint64_t) 1 << index % 64);
    ASAN_POISON_MEMORY_REGION(session, sizeof *session);
    store->count--;
    if (--block->count > 0)
        return;
    if (store->empty_blocks > 0)
        free_block(store, block);
    else
        store->empty_blocks++;
}

struct session *session_store_next(const struct session_store *store, size_t *place)
{
    for (; *place < store->block_count * SLOTS; (*place)++) {
        struct session_block *block = store->blocks[*place / SLOTS];
        size_t index = *place % SLOTS;
        if (block && is_used(block, index) && !slot(block, index)->closed) {
            (*place)++;
            return slot(block, index);
        }
    }
    return NULL;
}

/* ---- work ---- */

struct session_active *session_store_lend(struct session_store *store)
{
    struct session_active *active = store->works;
    if (!active)
        return calloc(1, sizeof *active);
    store->works = active->again_next;
    store->work_count--;
    active->again_next = NULL;
    return active;
}

void session_store_return(struct session_store *store, struct session_active *active)
{
    if (store->work_count == KEPT_WORKS) {
        free(active);
        return;
    }
    *active = (struct session_active){.again_next = store->works};
    store->works = active;
    store->work_count++;
}

void session_store_fini(struct session_store *store)
{
    for (size_t i = 0; i < store->block_count; i++)
        if (store->blocks[i])
            free_block(store, store->blocks[i]);
    free(store->blocks);
    while (store->works) {
        struct session_active *active = store->works;
        store->works = active->again_next;
        free(active);
    }
    *store = (struct session_store){0};
}
