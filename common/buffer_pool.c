/* buffer_pool: an array, the piece that was put last at its end; a timer that runs while there are
 * any. */
#include "common/buffer_pool.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/descriptor.h"

enum {
    MAX_PIECES = 64,
    /* of one tick, and one piece: unmapping takes its time, which others wait */
    TICK_BYTES = 4 << 20,
};

struct piece {
    void *data; /* owned */
    size_t capacity;
    unsigned ticks; /* for so many it has been here */
};

static struct {
    pthread_mutex_t lock; /* guards all of it */
    struct piece pieces[MAX_PIECES];
    unsigned count;
    size_t size, max_bytes; /* bytes: of all pieces; as many are kept; 0: closed */
    const atomic_uint *shortage;
    int timer_fd;
    bool ticks; /* the timer runs */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .timer_fd = -1};

/* Pieces that were taken out, to be freed when nobody waits for the lock. */
struct removed {
    void *data[MAX_PIECES];
    unsigned count;
};

/* ---- the lock is held ---- */

static void set_timer_locked(bool ticks)
{
    struct timespec interval = {.tv_nsec = ticks ? BUFFER_POOL_TICK_MS * 1000000L : 0};
    struct itimerspec timer = {.it_interval = interval, .it_value = interval};
    pool.ticks = timerfd_settime(pool.timer_fd, 0, &timer, NULL) == 0 && ticks;
}

static void *remove_locked(unsigned index)
{
    void *data = pool.pieces[index].data;
    pool.size -= pool.pieces[index].capacity;
    pool.count--;
    for (; index < pool.count; index++)
        pool.pieces[index] = pool.pieces[index + 1];
    return data;
}

/* Removes those that are older, the oldest first, until `bytes` are gone. */
static void remove_old_locked(struct removed *removed, unsigned ticks, size_t bytes)
{
    size_t least = pool.size > bytes ? pool.size - bytes : 0;
    for (unsigned i = 0; i < pool.count && pool.size > least;)
        if (pool.pieces[i].ticks >= ticks)
            removed->data[removed->count++] = remove_locked(i);
        else
            i++;
}

static bool has_room_locked(size_t capacity)
{
    return pool.count < MAX_PIECES && capacity <= pool.max_bytes - pool.size &&
           !(pool.shortage && atomic_load_explicit(pool.shortage, memory_order_relaxed));
}

/* ---- not held ---- */

static void free_removed(const struct removed *removed)
{
    for (unsigned i = 0; i < removed->count; i++)
        free(removed->data[i]);
}

bool buffer_pool_open(size_t max_bytes, const atomic_uint *shortage)
{
    int fd = pool.max_bytes ? -1 : timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return false;
    pthread_mutex_lock(&pool.lock);
    pool.timer_fd = fd;
    pool.shortage = shortage;
    pool.max_bytes = max_bytes;
    pthread_mutex_unlock(&pool.lock);
    return true;
}

void buffer_pool_close(void)
{
    struct removed removed = {.count = 0};
    pthread_mutex_lock(&pool.lock);
    remove_old_locked(&removed, 0, pool.size);
    pool.max_bytes = 0;
    pool.shortage = NULL;
    pool.ticks = false;
    descriptor_close(&pool.timer_fd);
    pthread_mutex_unlock(&pool.lock);
    free_removed(&removed);
}

int buffer_pool_timer_fd(void) { return pool.timer_fd; }

void buffer_pool_tick(void)
{
    struct removed removed = {.count = 0};
    uint64_t passed;
    pthread_mutex_lock(&pool.lock);
    if (pool.ticks) {
        /* How often is not asked: a pause of the process is one tick. Should it fail, what follows
         * stops the timer in the end. */
        (void) !read(pool.timer_fd, &passed, sizeof passed);
        for (unsigned i = 0; i < pool.count; i++)
            pool.pieces[i].ticks++;
        remove_old_locked(&removed, BUFFER_POOL_TICKS, TICK_BYTES);
        if (pool.count == 0)
            set_timer_locked(false);
    }
    pthread_mutex_unlock(&pool.lock);
    free_removed(&removed);
}

void buffer_pool_empty(void)
{
    struct removed removed = {.count = 0};
    pthread_mutex_lock(&pool.lock);
    remove_old_locked(&removed, 0, pool.size);
    pthread_mutex_unlock(&pool.lock);
    free_removed(&removed);
}

size_t buffer_pool_size(void)
{
    pthread_mutex_lock(&pool.lock);
    size_t size = pool.size;
    pthread_mutex_unlock(&pool.lock);
    return size;
}

void *buffer_pool_take(size_t least, size_t most, size_t *capacity)
{
    void *data = NULL;
    unsigned best = MAX_PIECES;
    pthread_mutex_lock(&pool.lock);
    for (unsigned i = pool.count; i-- > 0;) {
        size_t size = pool.pieces[i].capacity;
        if (size >= least && size <= most &&
            (best == MAX_PIECES || size > pool.pieces[best].capacity))
            best = i;
    }
    if (best < MAX_PIECES) {
        *capacity = pool.pieces[best].capacity;
        data = remove_locked(best);
    }
    pthread_mutex_unlock(&pool.lock);
    return data;
}

void buffer_pool_put(void *data, size_t capacity)
{
    if (!data)
        return;
    pthread_mutex_lock(&pool.lock);
    bool is_kept = has_room_locked(capacity);
    if (is_kept) {
        pool.pieces[pool.count++] = (struct piece){.data = data, .capacity = capacity};
        pool.size += capacity;
        if (!pool.ticks)
            set_timer_locked(true);
    }
    pthread_mutex_unlock(&pool.lock);
    if (!is_kept)
        free(data);
}
