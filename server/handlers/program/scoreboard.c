/* scoreboard: scores, taken, given back, and read. */
#include "server/handlers/program/scoreboard.h"

#include <stdlib.h>

bool scoreboard_init(struct scoreboard *scoreboard, unsigned size)
{
    *scoreboard = (struct scoreboard){.scores = calloc(size, sizeof(struct score)), .size = size};
    return scoreboard->scores;
}

void scoreboard_fini(struct scoreboard *scoreboard) { free(scoreboard->scores); }

/* ---- the supervisor's ---- */

/* The one that was released last, so that those in use stay near the front. */
static struct score *free_score(struct scoreboard *scoreboard)
{
    struct score *score = scoreboard->free;
    unsigned used = atomic_load_explicit(&scoreboard->used, memory_order_relaxed);
    if (score) {
        scoreboard->free = score->next_free;
        return score;
    }
    if (used == scoreboard->size)
        return NULL;
    atomic_store_explicit(&scoreboard->used, used + 1, memory_order_relaxed);
    return &scoreboard->scores[used];
}

struct score *scoreboard_take(struct scoreboard *scoreboard, uint64_t number)
{
    struct score *score = free_score(scoreboard);
    if (!score)
        return NULL;
    score_number(score, number);
    score_state(score, HANDLER_WORKER_STARTING);
    score_pid(score, 0);
    atomic_store_explicit(&score->requests, 0, memory_order_relaxed);
    atomic_store_explicit(&score->restarts, 0, memory_order_relaxed);
    atomic_store_explicit(&score->taken, true, memory_order_release);
    return score;
}

void scoreboard_release(struct scoreboard *scoreboard, struct score *score)
{
    if (!score)
        return;
    atomic_store_explicit(&score->taken, false, memory_order_relaxed);
    score->next_free = scoreboard->free;
    scoreboard->free = score;
}

void scoreboard_replaced(struct scoreboard *scoreboard, struct score *score)
{
    atomic_fetch_add_explicit(&scoreboard->replacements, 1, memory_order_relaxed);
    if (score)
        atomic_fetch_add_explicit(&score->restarts, 1, memory_order_relaxed);
}

void scoreboard_succeed(struct scoreboard *scoreboard, struct score *score,
                        const struct score *other)
{
    if (!score || !other)
        return;
    score_state(score, atomic_load_explicit(&other->state, memory_order_relaxed));
    score_pid(score, atomic_load_explicit(&other->pid, memory_order_relaxed));
    score_requests(score, atomic_load_explicit(&other->requests, memory_order_relaxed));
    scoreboard_replaced(scoreboard, score);
}

/* ---- everybody's ---- */

bool scoreboard_next(struct scoreboard *scoreboard, unsigned *place, struct handler_worker *worker)
{
    unsigned used = atomic_load_explicit(&scoreboard->used, memory_order_relaxed);
    while (*place < used) {
        struct score *score = &scoreboard->scores[(*place)++];
        if (!atomic_load_explicit(&score->taken, memory_order_acquire))
            continue;
        *worker = (struct handler_worker){
            .number = atomic_load_explicit(&score->number, memory_order_relaxed),
            .state = atomic_load_explicit(&score->state, memory_order_relaxed),
            .pid = atomic_load_explicit(&score->pid, memory_order_relaxed),
            .requests = atomic_load_explicit(&score->requests, memory_order_relaxed),
            .restarts = atomic_load_explicit(&score->restarts, memory_order_relaxed),
        };
        return true;
    }
    return false;
}
