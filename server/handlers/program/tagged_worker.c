/* tagged_worker: room, and time. */
#include "server/handlers/program/tagged_worker.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/handlers/program/phase.h"
#include "server/handlers/program/respawn.h"
#include "server/handlers/program/tagged.h"
#include "server/request.h"

enum { LATE_GRACE_MS = 10 }; /* after a request's deadline, at which the engine answers */

bool tagged_worker_init(struct worker *worker, unsigned count)
{
    worker->tagged = calloc(1, sizeof *worker->tagged);
    return worker->tagged && tagged_init(worker->tagged, count);
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
        if (!tagged_is_full(worker->tagged) &&
            (!emptiest || worker->tagged->count < emptiest->tagged->count))
            emptiest = worker;
    return emptiest;
}

void tagged_worker_add(struct workers *workers, struct worker *worker, struct request *request)
{
    struct tagged *tagged = worker->tagged;
    int64_t at_ms = request_deadline_ms(request);
    if (!request_is_over(request) && tagged_add(tagged, request, workers->instances->now_us)) {
        if (at_ms != CLOCK_NEVER)
            at_ms += LATE_GRACE_MS;
        if (tagged->count == 1 || at_ms < worker->late_ms)
            worker->late_ms = at_ms;
        phase_schedule(workers, worker);
        return;
    }
    if (!request_is_over(request))
        request_refuse(request, PROTOCOL_HANDLER_FAILED, "out of memory");
    request_release(request);
}

void tagged_worker_check_time(struct workers *workers, struct worker *worker)
{
    struct tagged_times times = tagged_check_time(worker->tagged, workers->instances->now_ms,
                                                  worker->state.spoken_us, LATE_GRACE_MS);
    worker->late_ms = times.next_ms;
    if (times.hung)
        worker_lose(workers, worker, "the program has not answered in time");
    else if (times.next_ms == CLOCK_NEVER && tagged_is_full(worker->tagged))
        worker_lose(workers, worker, "the program has left too many requests without an answer");
    else
        phase_schedule(workers, worker);
}
