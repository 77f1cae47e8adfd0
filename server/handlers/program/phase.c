/* phase: from one to the next. */
#include "server/handlers/program/phase.h"

#include "common/clock.h"
#include "server/handlers/program/starts.h"
#include "server/handlers/program/tagged.h"

static enum handler_worker_state state_of(const struct worker *worker)
{
    switch (worker->phase) {
    case WORKER_EMPTY:
        return worker->failures > 0 ? HANDLER_WORKER_DOWN : HANDLER_WORKER_STARTING;
    case WORKER_STARTING:
        return HANDLER_WORKER_STARTING;
    case WORKER_IDLE:
        if (worker->tagged && worker->tagged->count > 0)
            return HANDLER_WORKER_WORKS;
        return worker->state.rests || worker->state.rested_us ? HANDLER_WORKER_RESTS
                                                              : HANDLER_WORKER_WAITS;
    default:
        return HANDLER_WORKER_WORKS;
    }
}

void phase_show(const struct worker *worker) { score_state(worker->score, state_of(worker)); }

void phase_enter(struct workers *workers, struct worker *worker, enum worker_phase phase)
{
    if (worker->phase == WORKER_IDLE)
        TAILQ_REMOVE(&workers->idle, worker, idle_entry);
    if (worker->phase == WORKER_STARTING)
        starts_end(workers, worker);
    worker->phase = phase;
    if (phase == WORKER_IDLE && worker->state.answered)
        TAILQ_INSERT_HEAD(&workers->idle, worker, idle_entry);
    else if (phase == WORKER_IDLE)
        TAILQ_INSERT_TAIL(&workers->idle, worker, idle_entry);
    phase_show(worker);
    workers->changed = workers->changed || (phase != WORKER_IDLE && phase != WORKER_IN_TURN);
}

int64_t phase_due_ms(const struct worker *worker)
{
    switch (worker->phase) {
    case WORKER_EMPTY:
        if (worker->is_successor || worker->is_retired)
            return CLOCK_NEVER;
        return !worker->in_line && (!worker->flow || worker->exchange.request) ? worker->start_ms
                                                                               : CLOCK_NEVER;
    case WORKER_STARTING:
        return worker->starts_until_ms && worker->starts_until_ms < worker->state.ready_ms
                   ? worker->starts_until_ms
                   : worker->state.ready_ms;
    case WORKER_IN_TURN:
        return worker->late_ms;
    case WORKER_BROKEN:
        return worker->given && worker->late_ms < worker->broken_ms ? worker->late_ms
                                                                    : worker->broken_ms;
    default:
        return worker->tagged && worker->tagged->count > 0 ? worker->late_ms : CLOCK_NEVER;
    }
}

void phase_schedule(struct workers *workers, const struct worker *worker)
{
    instances_schedule(workers->instances, phase_due_ms(worker));
}
