/* starts: a line for sessions, and one for spares. */
#include "server/handlers/program/starts.h"

#include "server/handlers/program/patience.h"

/* One that is asleep after so long, or has not started after that, lets the next one start beside
 * it. */
enum { START_CHECK_MS = 50, START_TURN_MS = 1000 };

static struct worker_line *line_of(struct workers *workers, const struct worker *worker)
{
    return worker->flow ? &workers->line : &workers->spare_line;
}

void starts_wait(struct workers *workers, struct worker *worker)
{
    if (!worker->in_line)
        TAILQ_INSERT_TAIL(line_of(workers, worker), worker, line_entry);
    worker->in_line = true;
}

void starts_leave(struct workers *workers, struct worker *worker)
{
    if (worker->in_line)
        TAILQ_REMOVE(line_of(workers, worker), worker, line_entry);
    worker->in_line = false;
}

bool starts_may_start(const struct workers *workers)
{
    return workers->starting < workers->max_starting &&
           (!TAILQ_EMPTY(&workers->line) || !TAILQ_EMPTY(&workers->spare_line));
}

struct worker *starts_next(struct workers *workers)
{
    if (!starts_may_start(workers))
        return NULL;
    struct worker *worker = TAILQ_EMPTY(&workers->line) ? TAILQ_FIRST(&workers->spare_line)
                                                        : TAILQ_FIRST(&workers->line);
    starts_leave(workers, worker);
    return worker;
}

void starts_begin(struct workers *workers, struct worker *worker)
{
    worker->start_ms = workers->instances->now_ms;
    worker->starts_until_ms = worker->start_ms + START_CHECK_MS;
    workers->starting++;
    patience_begin(worker->instance->group.id);
}

void starts_end(struct workers *workers, struct worker *worker)
{
    if (!worker->starts_until_ms)
        return;
    worker->starts_until_ms = 0;
    workers->starting--;
    patience_end(worker->instance->group.id);
}

void starts_check(struct workers *workers, struct worker *worker)
{
    int64_t now_ms = workers->instances->now_ms;
    if (now_ms >= worker->start_ms + START_TURN_MS || process_is_asleep(worker->instance->group.id))
        starts_end(workers, worker);
    else
        worker->starts_until_ms = now_ms + START_CHECK_MS;
}
