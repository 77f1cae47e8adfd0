/* tagged_worker: room, and time. */
#include "server/handlers/program/tagged_worker.h"

#include <stdlib.h>

#include "common/protocol.h"
#include "server/handlers/program/phase.h"
#include "server/handlers/program/respawn.h"
#include "server/handlers/program/tagged.h"
#include "server/request.h"

bool tagged_worker_init(struct worker *worker, const struct turn_rules *rules)
{
    worker->tagged = calloc(1, sizeof *worker->tagged);
    if (!worker->tagged || !tagged_init(worker->tagged, rules->tagged))
        return false;
    worker->tagged->tells = rules->tell_peer;
    return true;
}

void tagged_worker_fini(struct worker *worker)
{
    if (worker->tagged)
        tagged_fini(worker->tagged);
    free(worker->tagged);
    worker->tagged = NULL;
}

struct worker *tagged_workers_with_room(struct workers *workers)
{
    struct worker *worker, *emptiest = NULL;
    TAILQ_FOREACH(worker, &workers->idle, idle_entry)
        if (!worker->is_retired && !tagged_is_full(worker->tagged) &&
            (!emptiest || worker->tagged->count < emptiest->tagged->count))
            emptiest = worker;
    return emptiest;
}

/* When it is to be checked. It may have gone on by then. */
static void set_time(struct workers *workers, struct worker *worker)
{
    worker->late_ms = tagged_hangs_ms(worker->tagged, workers->rules->handler_timeout_ms);
    phase_schedule(workers, worker);
}

void tagged_worker_add(struct workers *workers, struct worker *worker, struct request *request)
{
    struct tagged *tagged = worker->tagged;
    if (request_begin(request) && tagged_add(tagged, request, workers->instances->now_us)) {
        if (tagged->count == 1) {
            set_time(workers, worker);
            phase_show(worker);
        }
        return;
    }
    if (!request_is_over(request))
        request_refuse(request, PROTOCOL_HANDLER_FAILED, "out of memory");
    request_release(request);
}

void tagged_worker_show(struct worker *worker)
{
    struct tagged *tagged = worker->tagged;
    if (!tagged || tagged->answered == 0)
        return;
    score_requests(worker->score, tagged->answered);
    tagged->answered = 0;
    phase_show(worker);
}

void tagged_worker_check_time(struct workers *workers, struct worker *worker)
{
    set_time(workers, worker);
    if (worker->late_ms <= workers->instances->looked_ms)
        worker_lose(workers, worker, "the program has not answered in time");
}
