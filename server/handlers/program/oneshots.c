/* oneshots: begun, started ahead, and ended. */
#include "server/handlers/program/oneshots.h"

#include "common/clock.h"
#include "common/protocol.h"
#include "server/request.h"

void oneshots_init(struct oneshots *oneshots, struct instances *instances,
                   const struct oneshot_rules *rules)
{
    *oneshots = (struct oneshots){.instances = instances, .rules = *rules};
    TAILQ_INIT(&oneshots->spares);
}

/* ---- requests ---- */

static bool may_start(const struct oneshots *oneshots)
{
    return oneshots->instances->count < oneshots->rules.max &&
           oneshots->starting < oneshots->rules.starts;
}

bool oneshots_can_begin(const struct oneshots *oneshots)
{
    return oneshots->spare_count > 0 || may_start(oneshots);
}

/* Gives the request to a spare that can read it. False: there is none. */
static bool give_to_spare(struct oneshots *oneshots, struct request *request,
                          const struct flow *flow)
{
    struct oneshot *spare;
    while ((spare = TAILQ_FIRST(&oneshots->spares))) {
        if (oneshot_give(oneshots, spare, request, flow)) {
            oneshots->failures = 0;
            return true;
        }
        oneshot_end(oneshots, spare, false);
    }
    return false;
}

void oneshots_begin(struct oneshots *oneshots, struct request *request, const struct flow *flow)
{
    if (!request_begin(request))
        request_release(request);
    else if (!give_to_spare(oneshots, request, flow))
        oneshot_begin(oneshots, request, flow);
}

static unsigned wanted(const struct oneshots *oneshots)
{
    return oneshots->rules.ahead + oneshots->more;
}

void oneshots_start_ahead(struct oneshots *oneshots)
{
    struct instances *instances = oneshots->instances;
    int failure;
    if (oneshots->spare_count >= wanted(oneshots) || !may_start(oneshots))
        return;
    if (oneshots->spare_ms > instances->now_ms) {
        instances_schedule(instances, oneshots->spare_ms);
        return;
    }
    if (!oneshot_start_ahead(oneshots, &failure))
        oneshots_spare_failed(oneshots);
    if (oneshots->spare_count < wanted(oneshots) && may_start(oneshots))
        instances_schedule(instances, instances->now_ms); /* the next one, in the next batch */
}

/* ---- a restart ---- */

/* Its number; 0: there is none. */
static uint64_t oldest_spare(const struct oneshots *oneshots)
{
    const struct oneshot *oldest = TAILQ_FIRST(&oneshots->spares);
    return oldest ? oldest->instance->number : 0;
}

static void begin_restart(struct oneshots *oneshots, struct restart *restart)
{
    restart_plan_spares(restart, oneshots->number, oneshots->spare_count, 0);
    oneshots->more = oneshots->rules.ahead > 0;
    oneshots->failures = 0;
    oneshots->spare_ms = 0;
}

void oneshots_restart(struct oneshots *oneshots, struct restart *restart)
{
    if (restart_begins(restart))
        begin_restart(oneshots, restart);
    struct oneshot *oldest = TAILQ_FIRST(&oneshots->spares);
    const struct oneshot *newest = TAILQ_LAST(&oneshots->spares, oneshot_list);
    struct restart_spares spares = {
        .count = oneshots->spare_count,
        .wanted = oneshots->rules.ahead,
        .oldest = oldest_spare(oneshots),
        .newest = newest ? newest->instance->number : 0,
        .newest_waits = newest && !newest->starts,
        .is_full = oneshots->instances->count >= oneshots->rules.max,
        .has_failed = oneshots->failures > 0,
    };
    if (restart_takes_oldest(restart, &spares))
        oneshot_end(oneshots, oldest, true);
    oneshots->more = restart_more(restart, oldest_spare(oneshots));
}

/* ---- the end ---- */

void oneshots_end(struct oneshots *oneshots)
{
    struct oneshot *oneshot, *next;
    for (oneshot = LIST_FIRST(&oneshots->all); oneshot; oneshot = next) {
        next = LIST_NEXT(oneshot, entry);
        oneshot_end(oneshots, oneshot, oneshot->is_spare);
    }
}

void oneshots_end_over(struct oneshots *oneshots)
{
    struct oneshot *oneshot, *next;
    for (oneshot = LIST_FIRST(&oneshots->all); oneshot; oneshot = next) {
        next = LIST_NEXT(oneshot, entry); /* this one may leave the list */
        if (!oneshot->is_spare && request_is_over(oneshot->exchange.request))
            oneshot_end(oneshots, oneshot, false);
    }
}

void oneshots_act(struct oneshots *oneshots)
{
    int64_t looked_ms = oneshots->instances->looked_ms;
    struct oneshot *oneshot, *next;
    for (oneshot = LIST_FIRST(&oneshots->all); oneshot; oneshot = next) {
        next = LIST_NEXT(oneshot, entry); /* this one may leave the list */
        if (oneshot->patient_until_ms && oneshot->patient_until_ms <= looked_ms)
            oneshot_end_patience(oneshots, oneshot);
        if (oneshot->patient_until_ms)
            instances_schedule(oneshots->instances, oneshot->patient_until_ms);
        if (oneshot_is_late(oneshots, oneshot))
            oneshot_refuse_and_end(oneshots, oneshot, PROTOCOL_HANDLER_TIMEOUT,
                                   "the handler has not answered in time");
        else
            instances_schedule(oneshots->instances, oneshot->late_ms);
    }
}
