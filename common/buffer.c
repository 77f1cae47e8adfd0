/*
 * buffer: see buffer.h.
 *
 * The bytes held are [begin, end) of one allocation. Consuming only moves `begin`. The bytes are
 * moved down only when room is short, and only if they are no more than those consumed since the
 * last move, so that a byte is moved once on average, however the buffer is used.
 */
#include "common/buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer_pool.h"

enum {
    SMALLEST_CAPACITY = 64,
    LARGE_STEP = 4096, /* large ones hold a multiple of this many bytes, */
    LARGE_SPARE = 64,  /* and a few more than asked for: a frame's end, say */
    LARGER = 2,        /* a kept piece may be so many times as large as need be */
};

/* ---- memory: small pieces are malloc(3)'s, large ones may come from the pool and go there ---- */

/* Moves the bytes held into a piece of `capacity` bytes or more. False: out of memory. */
static bool resize(struct buffer *buffer, size_t capacity)
{
    char *data = realloc(buffer->data, capacity);
    if (!data)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

static void give_back(struct buffer *buffer)
{
    if (buffer->capacity >= BUFFER_POOL_LEAST)
        buffer_pool_put(buffer->data, buffer->capacity);
    else
        free(buffer->data);
}

/* The same with a piece that the pool has kept, of at most `most` bytes. False: it has none. */
static bool move(struct buffer *buffer, size_t least, size_t most)
{
    size_t capacity, held = buffer_size(buffer);
    char *data = buffer_pool_take(least, most + LARGE_SPARE + LARGE_STEP, &capacity);
    if (!data)
        return false;
    if (held > 0)
        memcpy(data, buffer_head(buffer), held);
    give_back(buffer);
    *buffer = (struct buffer){.data = data, .end = held, .capacity = capacity, .is_reused = true};
    return true;
}

/* ---- growing ---- */

/* Moves the bytes held to the front if that makes enough room. */
static bool close_up(struct buffer *buffer, size_t size)
{
    size_t held = buffer_size(buffer);
    if (buffer->begin < held || buffer->capacity - held < size)
        return false;
    /* begin >= held: source and target do not overlap. */
    memcpy(buffer->data, buffer_head(buffer), held);
    buffer->begin = 0;
    buffer->end = held;
    return true;
}

__attribute__((cold, noinline)) bool buffer_grow_within(struct buffer *buffer, size_t size,
                                                        size_t most)
{
    if (close_up(buffer, size))
        return true;
    /* No object is larger than PTRDIFF_MAX; below it neither sum nor doubling can overflow. */
    if (size > (size_t) PTRDIFF_MAX - LARGE_STEP - LARGE_SPARE - buffer->end)
        return false;
    size_t capacity = 2 * buffer->capacity;
    if (capacity > most)
        capacity = most;
    if (capacity < buffer->end + size)
        capacity = buffer->end + size;
    if (capacity < SMALLEST_CAPACITY)
        capacity = SMALLEST_CAPACITY;
    if (capacity < BUFFER_POOL_LEAST)
        return resize(buffer, capacity);
    size_t least = buffer_size(buffer) + size, larger = buffer->capacity + buffer->capacity / 2;
    if (move(buffer, least > larger ? least : larger, most))
        return true;
    capacity += LARGE_SPARE + LARGE_STEP - 1;
    return resize(buffer, capacity - capacity % LARGE_STEP);
}

__attribute__((cold, noinline)) bool buffer_grow(struct buffer *buffer, size_t size)
{
    return buffer_grow_within(buffer, size, LARGER * (buffer->end + size));
}

__attribute__((cold, noinline)) void buffer_release(struct buffer *buffer)
{
    give_back(buffer);
    *buffer = (struct buffer){0};
}
