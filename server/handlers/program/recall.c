/* recall: what the server reads of a pipe the program does not. */
#include "server/handlers/program/recall.h"

#include "server/handlers/program/tagged.h"
#include "server/handlers/program/turns.h"

static void recall_from(struct workers *workers, struct worker *worker)
{
    turns_stop(workers, worker);
    size_t unread = instance_take_unread(worker->instance);
    if (worker->tagged)
        tagged_defer_unread(worker->tagged, unread);
    else
        exchange_defer_unread(&worker->exchange, workers->rules->end_size, unread);
}

void recall(struct workers *workers)
{
    struct worker *worker;
    workers->recalled = true;
    LIST_FOREACH(worker, &workers->all, entry)
        if (worker->given || (worker->tagged && worker->tagged->count > 0))
            recall_from(workers, worker);
}
