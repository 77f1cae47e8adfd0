/*
 * buffer_pool: the memory of large buffers that are no longer used, kept for a moment for the next
 * one. Without it the system would take the pages of each large message back, and clear new ones
 * for the next: a fault for every 4096 bytes.
 *
 * There is one for the process, as there is one malloc(3). It keeps nothing before it is opened.
 * What nobody has taken for a second is given back, a part at a time. Any thread may call these,
 * except that opening and closing are for one.
 */
#ifndef BANTER_COMMON_BUFFER_POOL_H
#define BANTER_COMMON_BUFFER_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    /* bytes; smaller pieces are not worth a lock. Of malloc(3)'s pieces from here on, the system
     * should get each one back by itself: M_MMAP_THRESHOLD in mallopt(3) */
    BUFFER_POOL_LEAST = 64 << 10,
    BUFFER_POOL_TICK_MS = 100,
    BUFFER_POOL_TICKS = 10, /* for so long a piece is kept, and no longer than one tick more */
};

/* Begins to keep pieces, up to `max_bytes` in all. While `*shortage` is not 0 nothing more is kept;
 * NULL: there is no shortage. False: it is open already, or (with errno set) there is no descriptor
 * for its timer; nothing has changed then. */
bool buffer_pool_open(size_t max_bytes, const atomic_uint *shortage);

/* Gives all back, and keeps nothing any more. */
void buffer_pool_close(void);

/* A descriptor that can be read from when it is time for buffer_pool_tick(), for as long as the
 * pool is open and somebody calls it then; -1: it is closed. */
int buffer_pool_timer_fd(void);

/* Gives back some of what has been kept for long enough. */
void buffer_pool_tick(void);

/* Gives back all that is kept. */
void buffer_pool_empty(void);

/* How many bytes are kept. */
size_t buffer_pool_size(void);

/* Takes a piece of at least `least` and at most `most` bytes: the largest of those, so that its
 * buffer does not have to grow soon. It is the caller's, as if it had come from malloc(3). NULL:
 * none is kept. */
void *buffer_pool_take(size_t least, size_t most, size_t *capacity);

/* Keeps a piece from malloc(3), or frees it. NULL is left alone. */
void buffer_pool_put(void *data, size_t capacity);

#endif
