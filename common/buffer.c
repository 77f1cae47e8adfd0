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

enum { SMALLEST_CAPACITY = 64 };

bool buffer_grow(struct buffer *buffer, size_t size)
{
    size_t held = buffer_size(buffer);
    if (buffer->begin >= held && buffer->capacity - held >= size) {
        /* begin >= held: source and target do not overlap. */
        memcpy(buffer->data, buffer_head(buffer), held);
        buffer->begin = 0;
        buffer->end = held;
        return true;
    }

    /* No object is larger than PTRDIFF_MAX; below it neither sum nor doubling can overflow. */
    if (size > (size_t) PTRDIFF_MAX - buffer->end)
        return false;
    size_t capacity = 2 * buffer->capacity;
    if (capacity < buffer->end + size)
        capacity = buffer->end + size;
    if (capacity < SMALLEST_CAPACITY)
        capacity = SMALLEST_CAPACITY;
    char *data = realloc(buffer->data, capacity);
    if (!data)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void buffer_fini(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}
