/* looking: the timers of looks, and doubts about what they show. */
#include "server/handlers/program/looking.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "server/handlers/program/freezer.h"

enum {
    LOOKS_A_MS = 32,    /* of those that are looked at, more share what these would cost */
    HIDDEN_US = 2000,   /* what the system does not show has been silent for so long */
    UNSURE_US = 100000, /* threads or children that stay for so long are there to stay */
};

/* ---- when ---- */

void looking_after(struct workers *workers, struct worker *worker, int64_t delay_us)
{
    struct look_timer *timer = &worker->timer;
    if (!timer->due_us) {
        LIST_INSERT_HEAD(&workers->looking, worker, timer.entry);
        workers->looking_count++;
    }
    timer->delay_us = delay_us;
    timer->due_us = workers->instances->now_us + delay_us;
    if (timer->due_us < workers->look_due_us)
        workers->look_due_us = timer->due_us;
}

void looking_again(struct workers *workers, struct worker *worker)
{
    int64_t delay_us = worker->timer.due_us ? worker->timer.delay_us * 2 : LOOKING_FIRST_US;
    int64_t most_us = LOOKING_MAX_US * (1 + (int64_t) workers->looking_count / LOOKS_A_MS);
    looking_after(workers, worker, delay_us < most_us ? delay_us : most_us);
}

void looking_stop(struct workers *workers, struct worker *worker)
{
    if (worker->timer.due_us) {
        LIST_REMOVE(worker, timer.entry);
        workers->looking_count--;
    }
    worker->timer.due_us = 0;
}

/* ---- what it shows ---- */

void looking_describe_unseen(const struct worker *worker, char *text, size_t size)
{
    const char *why = worker->instance->look.why;
    snprintf(text, size, "Worker %llu can't be seen to wait: the program %s",
             (unsigned long long) worker->number, why ? why : "rests");
}

bool looking_stays_unsure(const struct workers *workers, const struct worker *worker)
{
    return workers->instances->now_us - worker->state.unsure_us >= UNSURE_US;
}

/* Threads or children have been there for so long that they will stay: from now on it rests when it
 * would wait without them. */
static void settle_for_rest(struct workers *workers, struct worker *worker)
{
    worker->state.rests = true;
    const char *why = worker->instance->look.why;
    instance_log(workers->instances, worker->instance, LOG_WORKER_RESTS, "", why ? why : "",
                 why ? strlen(why) : 0);
}

enum turn_state looking_once(struct workers *workers, struct worker *worker, bool *unsure)
{
    struct look *look = &worker->instance->look;
    struct instance_state *state = &worker->state;
    int64_t now_us = workers->instances->now_us;
    enum look_state seen = look_at(look);
    bool related = seen != LOOK_WAITS && (look->has_threads || look->has_children);
    *unsure = related || seen == LOOK_UNKNOWN;
    if (!*unsure)
        state->unsure_us = 0;
    else if (!state->unsure_us)
        state->unsure_us = now_us;
    if (related && !state->rests && looking_stays_unsure(workers, worker))
        settle_for_rest(workers, worker);
    if (seen == LOOK_WAITS)
        return TURN_WAITS;
    if (seen == LOOK_UNKNOWN)
        return now_us - state->spoken_us >= HIDDEN_US ? TURN_RESTS : TURN_WORKS;
    return seen == LOOK_RESTS || (related && state->rests) ? TURN_RESTS : TURN_WORKS;
}

enum turn_state looking_closely(struct workers *workers, struct worker *worker, bool *unsure)
{
    enum turn_state turn = looking_once(workers, worker, unsure);
    if (turn != TURN_WAITS)
        return turn;
    if (process_is_frozen(worker->instance->group.id))
        return TURN_WORKS;
    return looking_once(workers, worker, unsure); /* it may have been thawed a moment ago */
}
