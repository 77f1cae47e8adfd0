/* memory: a sum and two marks. */
#include "server/session/memory.h"

enum {
    GRAIN_BYTES = 64 << 10,
    SHARE_OF_ROOM = 8,     /* of the bound, at least, for what comes when memory is short */
    SHARE_OF_STEP = 16,    /* of a mark: a level ends only that far below it */
    ERROR_SHARE = 32,      /* of the mark: more is never unknown */
    READ_BYTES = 64 << 10, /* what a session may hold beside a request */
};

void memory_init(struct memory *memory, size_t bound, size_t max_message, unsigned shards)
{
    size_t room = max_message + READ_BYTES;
    if (room < bound / SHARE_OF_ROOM)
        room = bound / SHARE_OF_ROOM;
    memory->bound = bound;
    memory->mark = room < bound / 2 ? bound - room : bound / 2;
    memory->grain = memory->mark / ERROR_SHARE / (shards ? shards : 1);
    if (memory->grain > GRAIN_BYTES)
        memory->grain = GRAIN_BYTES;
}

/* A level is left for the next lower one only some way below its mark: those who wait are asked
 * again each time. */
static size_t without_step(size_t mark, bool is_above)
{
    return is_above ? mark - mark / SHARE_OF_STEP : mark;
}

static enum memory_level level_of(const struct memory *memory, size_t held, enum memory_level now)
{
    if (!memory->bound)
        return MEMORY_FREE;
    if (held > without_step(memory->bound, now == MEMORY_OUT))
        return MEMORY_OUT;
    return held > without_step(memory->mark, now != MEMORY_FREE) ? MEMORY_SHORT : MEMORY_FREE;
}

struct memory_change memory_add(struct memory *memory, ptrdiff_t bytes)
{
    atomic_fetch_add(&memory->held, (size_t) bytes);
    enum memory_level before = atomic_load(&memory->level), level;
    size_t held;
    do { /* so that of two threads the one with the newer sum comes last */
        held = atomic_load(&memory->held);
        level = level_of(memory, held, before);
        atomic_store(&memory->level, level);
    } while (atomic_load(&memory->held) != held);
    return (struct memory_change){
        .has_room = level < before && atomic_exchange(&memory->waits, false),
        .runs_short = before == MEMORY_FREE && level != MEMORY_FREE,
    };
}

bool memory_wait(struct memory *memory, enum memory_level level)
{
    /* Before the look: who lowers the level looks at it behind that. */
    atomic_store(&memory->waits, true);
    return atomic_load(&memory->level) >= (unsigned) level;
}

bool memory_choose(struct memory *memory, uint64_t number)
{
    uint64_t chosen = 0;
    return atomic_compare_exchange_strong(&memory->chosen, &chosen, number) || chosen == number;
}

bool memory_unchoose(struct memory *memory)
{
    atomic_store(&memory->chosen, 0);
    return atomic_exchange(&memory->waits, false);
}
