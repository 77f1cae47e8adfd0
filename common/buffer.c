/*
 * buffer: see buffer.h.
 *
 * The bytes held lie in [begin, end) of one allocation. Consuming only moves `begin`; the bytes are
 * moved down only when room is short and what is moved is no more than what was consumed since the
 * last move, so that a byte is moved once on average, however the buffer is used.
 */
#include "common/buffer.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST_CAPACITY = 64 };

bool buffer_reserve(struct buffer *buffer, size_t size)
{
    if (buffer_room(buffer) >= size)
        return true;

    const size_t held = buffer_size(buffer);
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
    if (data == NULL)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void buffer_added(struct buffer *buffer, size_t size)
{
    assert(size <= buffer_room(buffer));
    buffer->end += size;
}

bool buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (!buffer_reserve(buffer, size))
        return false;
    if (size > 0) { /* memcpy() takes no NULL, not even for nothing */
        memcpy(buffer_tail(buffer), data, size);
        buffer->end += size;
    }
    return true;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    assert(size <= buffer_size(buffer));
    buffer->begin += size;
    if (buffer->begin == buffer->end)
        buffer_clear(buffer);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->begin = 0;
    buffer->end = 0;
}

void buffer_fini(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}
