/* heap: sifting, with the moving entry kept out of the array until its place is found. */
#include "server/engine/heap.h"

#include <stdlib.h>

static void store(struct heap *heap, size_t index, struct heap_entry entry)
{
    heap->entries[index] = entry;
    entry.item->place = (uint32_t) index + 1;
}

static void sift_up(struct heap *heap, size_t index, struct heap_entry entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (heap->entries[parent].key <= entry.key)
            break;
        store(heap, index, heap->entries[parent]);
        index = parent;
    }
    store(heap, index, entry);
}

static void sift_down(struct heap *heap, size_t index, struct heap_entry entry)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->entries[child + 1].key < heap->entries[child].key)
            child++;
        if (entry.key <= heap->entries[child].key)
            break;
        store(heap, index, heap->entries[child]);
        index = child;
    }
    store(heap, index, entry);
}

/* Puts an entry where a hole is: it may have to go either way. */
static void sift(struct heap *heap, size_t hole, struct heap_entry entry)
{
    if (hole > 0 && heap->entries[(hole - 1) / 2].key > entry.key)
        sift_up(heap, hole, entry);
    else
        sift_down(heap, hole, entry);
}

bool heap_reserve(struct heap *heap, size_t count)
{
    if (count <= heap->capacity)
        return true;
    size_t capacity = heap->capacity ? heap->capacity : 64;
    while (capacity < count)
        capacity *= 2;
    /* Not realloc(), which would touch, and so make resident, what no item has needed yet. */
    struct heap_entry *entries = malloc(capacity * sizeof *entries);
    if (!entries)
        return false;
    for (size_t i = 0; i < heap->count; i++)
        entries[i] = heap->entries[i];
    free(heap->entries);
    heap->entries = entries;
    heap->capacity = capacity;
    return true;
}

void heap_put(struct heap *heap, struct heap_item *item, int64_t key)
{
    struct heap_entry entry = {key, item};
    if (item->place)
        sift(heap, item->place - 1, entry);
    else
        sift_up(heap, heap->count++, entry);
}

void heap_remove(struct heap *heap, struct heap_item *item)
{
    if (!item->place)
        return;
    size_t hole = item->place - 1;
    item->place = 0;
    struct heap_entry last = heap->entries[--heap->count];
    if (hole < heap->count)
        sift(heap, hole, last);
}

int64_t heap_key(const struct heap *heap, const struct heap_item *item)
{
    return item->place ? heap->entries[item->place - 1].key : HEAP_NONE;
}

int64_t heap_first_key(const struct heap *heap)
{
    return heap->count ? heap->entries[0].key : HEAP_NONE;
}

struct heap_item *heap_take(struct heap *heap, int64_t max_key)
{
    if (heap->count == 0 || heap->entries[0].key > max_key)
        return NULL;
    struct heap_item *item = heap->entries[0].item;
    heap_remove(heap, item);
    return item;
}

void heap_fini(struct heap *heap)
{
    free(heap->entries);
    *heap = (struct heap){0};
}
