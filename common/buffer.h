/*
 * buffer: bytes that come in at one end and go out at the other, in one piece of memory: a small
 * one from malloc(3), a large one from the pool (common/buffer_pool.h), if that has kept any.
 *
 * Embedded by value; all zero is an empty buffer that holds no memory. A buffer is used by one
 * thread at a time. Pointers into it are good until the next call that adds bytes or frees it.
 */
#ifndef BANTER_COMMON_BUFFER_H
#define BANTER_COMMON_BUFFER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct buffer {
    char *data;      /* owned; NULL while capacity is 0 */
    size_t begin;    /* first byte that is held */
    size_t end;      /* one past the last byte that is held */
    size_t capacity; /* bytes allocated */
    bool is_reused;  /* from the pool: all of them may have been written to before */
};

/* How many bytes of the machine's memory it may occupy. */
static inline size_t buffer_memory(const struct buffer *buffer)
{
    return buffer->is_reused ? buffer->capacity : buffer->end;
}

/* How many bytes are held, and the first of them. The pointer may be NULL if the size is 0. Index 0
 * is a case apart because NULL + 0 is undefined. */
static inline size_t buffer_size(const struct buffer *buffer)
{
    return buffer->end - buffer->begin;
}
static inline char *buffer_head(const struct buffer *buffer)
{
    return buffer->begin == 0 ? buffer->data : buffer->data + buffer->begin;
}

/* Room after the last byte, for read(2): at least what the last buffer_reserve() asked for. */
static inline size_t buffer_room(const struct buffer *buffer)
{
    return buffer->capacity - buffer->end;
}
static inline char *buffer_tail(const struct buffer *buffer)
{
    return buffer->end == 0 ? buffer->data : buffer->data + buffer->end;
}

/* The part of buffer_reserve() for a buffer without enough room. */
bool buffer_grow(struct buffer *buffer, size_t size);

/* The same for a buffer that is likely to need more soon, but no more than about `most` bytes in
 * all: it does not double beyond that, and may get a kept piece that is as large
 * (common/buffer_pool.h). */
bool buffer_grow_within(struct buffer *buffer, size_t size, size_t most);

/* Makes room for `size` bytes after the last one, moving or growing as needed. Growth doubles, so
 * that appending n bytes costs O(n). False, with nothing changed, when memory is out. */
static inline bool buffer_reserve(struct buffer *buffer, size_t size)
{
    return buffer_room(buffer) >= size || buffer_grow(buffer, size);
}

/* Adds the `size` bytes that were written at buffer_tail(); at most buffer_room(). */
static inline void buffer_added(struct buffer *buffer, size_t size)
{
    assert(size <= buffer_room(buffer));
    buffer->end += size;
}

/* Appends a copy. False, with nothing changed, when memory is out. `size` may be 0. */
static inline bool buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (!buffer_reserve(buffer, size))
        return false;
    if (size > 0) { /* memcpy() takes no NULL, not even for nothing */
        memcpy(buffer_tail(buffer), data, size);
        buffer->end += size;
    }
    return true;
}

/* Drops all bytes and keeps the memory. */
static inline void buffer_clear(struct buffer *buffer)
{
    buffer->begin = 0;
    buffer->end = 0;
}

/* Drops `size` bytes at the head; at most buffer_size(). Both indices become 0 when the buffer is
 * empty. */
static inline void buffer_consume(struct buffer *buffer, size_t size)
{
    assert(size <= buffer_size(buffer));
    buffer->begin += size;
    if (buffer->begin == buffer->end)
        buffer_clear(buffer);
}

/* Exchanges two buffers. */
static inline void buffer_swap(struct buffer *one, struct buffer *other)
{
    struct buffer kept = *one;
    *one = *other;
    *other = kept;
}

/* The part of buffer_fini() for a buffer that has memory. */
void buffer_release(struct buffer *buffer);

/* Frees the memory; the buffer is empty and usable again. */
static inline void buffer_fini(struct buffer *buffer)
{
    if (buffer->data)
        buffer_release(buffer);
}

#endif
