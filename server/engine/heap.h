/*
 * heap: a binary min-heap of 64-bit keys whose items know their place, so that any of them can be
 * moved or removed. Putting and removing cost O(log n), looking at the smallest key O(1), and an
 * item that is not in the heap costs nothing.
 *
 * The key's meaning is the user's: a deadline in milliseconds, a priority. Not locked: one thread
 * at a time.
 */
#ifndef BANTER_SERVER_ENGINE_HEAP_H
#define BANTER_SERVER_ENGINE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The key of what is not in a heap, and the first key of an empty one. No item may have it. */
#define HEAP_NONE INT64_MAX

/* Embedded in what is put into a heap. All zero: in none. */
struct heap_item {
    uint32_t place; /* 1 + index in heap.entries; 0: not in the heap */
};

struct heap_entry {
    int64_t key;
    struct heap_item *item;
};

/* All zero is empty. */
struct heap {
    struct heap_entry *entries; /* owned */
    size_t count, capacity;
};

/* Makes room for `count` items in all, so that putting one of them in can't fail. False: out of
 * memory, and nothing has changed. */
bool heap_reserve(struct heap *heap, size_t count);

/* Puts an item in, or changes the key of one that is in. heap_reserve() has made room for it. */
void heap_put(struct heap *heap, struct heap_item *item, int64_t key);

/* Removes an item; one that is not in the heap is left alone. */
void heap_remove(struct heap *heap, struct heap_item *item);

/* The item's key; HEAP_NONE when it is not in the heap. */
int64_t heap_key(const struct heap *heap, const struct heap_item *item);

/* The smallest key; HEAP_NONE when the heap is empty. */
int64_t heap_first_key(const struct heap *heap);

/* Removes and returns the item with the smallest key if that is at most `max_key`, else NULL. */
struct heap_item *heap_take(struct heap *heap, int64_t max_key);

/* Gives the memory back; the heap is empty afterwards. */
void heap_fini(struct heap *heap);

#endif
