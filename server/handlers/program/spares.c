/* spares: those that wait, before those that will. */
#include "server/handlers/program/spares.h"

#include "server/handlers/program/worker.h"

void spares_init(struct spares *spares)
{
    *spares = (struct spares){0};
    TAILQ_INIT(&spares->list);
}

void spares_add(struct spares *spares, struct worker *worker)
{
    TAILQ_INSERT_TAIL(&spares->list, worker, spare_entry);
    spares->count++;
}

void spares_remove(struct spares *spares, struct worker *worker)
{
    TAILQ_REMOVE(&spares->list, worker, spare_entry);
    spares->count--;
}

struct worker *spares_take(struct spares *spares, struct workers *workers)
{
    struct worker *worker, *best = NULL;
    TAILQ_FOREACH(worker, &spares->list, spare_entry) {
        if (worker->phase == WORKER_IDLE && worker_stays_idle(workers, worker)) {
            best = worker;
            break;
        }
        if (worker->phase == WORKER_STARTING && !best)
            best = worker;
    }
    if (best)
        spares_remove(spares, best);
    return best;
}
