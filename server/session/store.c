/* store: blocks of slots, the lowest first, so that those behind empty and can go. */
#include "server/session/store.h"

#include <assert.h>
#include <stdlib.h>

#include "server/session/state.h"

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
    SLOTS = (STORE_BLOCK_BYTES - sizeof(struct store_block)) / sizeof(struct session),
    KEPT_SPARES = 64, /* more than that, which nobody needs, are given back */
};

static_assert(SLOTS <= 64 * sizeof((struct store_block *) 0)->in_use / sizeof(uint64_t),
              "each session of a block has its bit");

static struct session *slot(struct store_block *block, size_t index)
{
    return (struct session *) (block + 1) + index;
}

static bool is_used(const struct store_block *block, size_t index)
{
    return block->in_use[index / 64] >> index % 64 & 1;
}

/* ---- blocks ---- */

/* A new block, in the lowest free place of the table. */
static struct store_block *add_block(struct store *store, struct shard *shard)
{
    size_t place = 0;
    while (place < store->block_count && store->blocks[place])
        place++;
    if (place == store->block_capacity) {
        size_t capacity = place ? 2 * place : 4;
        struct store_block **blocks = realloc(store->blocks, capacity * sizeof *blocks);
        if (!blocks)
            return NULL;
        store->blocks = blocks;
        store->block_capacity = capacity;
    }
    struct store_block *block = aligned_alloc(STORE_BLOCK_BYTES, STORE_BLOCK_BYTES);
    if (!block)
        return NULL;
    *block = (struct store_block){.shard = shard};
    if (store->keeps_since && !(block->since_s = calloc(SLOTS, sizeof *block->since_s))) {
        free(block);
        return NULL;
    }
    ASAN_POISON_MEMORY_REGION(block + 1, STORE_BLOCK_BYTES - sizeof *block);
    store->blocks[place] = block;
    if (place == store->block_count)
        store->block_count++;
    store->empty_blocks++;
    return block;
}

/* The lowest block with room. */
static struct store_block *find_room(struct store *store, struct shard *shard)
{
    for (size_t i = 0; i < store->block_count; i++)
        if (store->blocks[i] && store->blocks[i]->count < SLOTS)
            return store->blocks[i];
    return add_block(store, shard);
}

static void free_block(struct store *store, struct store_block *block)
{
    size_t place = 0;
    while (store->blocks[place] != block)
        place++;
    store->blocks[place] = NULL;
    ASAN_UNPOISON_MEMORY_REGION(block, STORE_BLOCK_BYTES);
    free(block->since_s);
    free(block);
}

/* ---- sessions ---- */

struct session *store_take(struct store *store, struct shard *shard)
{
    struct store_block *block = find_room(store, shard);
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

void store_put(struct store *store, struct session *session)
{
    struct store_block *block = store_block_of(session);
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

uint32_t *store_since(const struct session *session)
{
    struct store_block *block = store_block_of(session);
    return block->since_s ? block->since_s + (session - slot(block, 0)) : NULL;
}

struct session *store_next(const struct store *store, size_t *place)
{
    for (; *place < store->block_count * SLOTS; (*place)++) {
        struct store_block *block = store->blocks[*place / SLOTS];
        size_t index = *place % SLOTS;
        if (block && is_used(block, index) && !slot(block, index)->closed) {
            (*place)++;
            return slot(block, index);
        }
    }
    return NULL;
}

/* ---- what active sessions need ---- */

struct session_active *store_lend(struct store *store)
{
    struct session_active *active = SLIST_FIRST(&store->spares);
    if (!active)
        return calloc(1, sizeof *active);
    SLIST_REMOVE_HEAD(&store->spares, spare_entry);
    store->spare_count--;
    SLIST_NEXT(active, spare_entry) = NULL;
    return active;
}

void store_return(struct store *store, struct session_active *active)
{
    if (store->spare_count == KEPT_SPARES) {
        free(active);
        return;
    }
    *active = (struct session_active){0};
    SLIST_INSERT_HEAD(&store->spares, active, spare_entry);
    store->spare_count++;
}

void store_fini(struct store *store)
{
    for (size_t i = 0; i < store->block_count; i++)
        if (store->blocks[i])
            free_block(store, store->blocks[i]);
    free(store->blocks);
    for (struct session_active *active; (active = SLIST_FIRST(&store->spares));) {
        SLIST_REMOVE_HEAD(&store->spares, spare_entry);
        free(active);
    }
    *store = (struct store){0};
}
