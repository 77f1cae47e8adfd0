/* charge: taken, given, and gone. */
#include "server/handlers/program/charge.h"

#include "common/clock.h"
#include "common/protocol.h"
#include "server/handlers/program/queue.h"
#include "server/request.h"

void charge_take(struct worker *worker, struct request *const *requests, unsigned count)
{
    exchange_begin(&worker->exchange, requests[0]);
    for (unsigned i = 1; i < count; i++)
        if (!exchange_add(&worker->exchange, requests[i])) {
            request_refuse(requests[i], PROTOCOL_HANDLER_FAILED, "out of memory");
            request_release(requests[i]);
        }
}

/* ---- their end ---- */

void charge_stop_clock(struct workers *workers, struct worker *worker)
{
    worker->replies = 0;
    if (exchange_has_several(&worker->exchange) && worker->late_ms != CLOCK_NEVER)
        worker->clock = queue_stop_clock(workers->queue, worker->exchange.request,
                                         instances_clock_ms(workers->instances));
}

static void start_clock(struct workers *workers, struct worker *worker)
{
    if (worker->clock)
        queue_start_clock(workers->queue, worker->clock, instances_clock_ms(workers->instances));
    worker->clock = NULL;
}

/* The request has gone: the session's next one can come. */
static void request_gone(struct workers *workers, struct worker *worker)
{
    worker->given = false;
    start_clock(workers, worker);
    if (workers->on_demand)
        queue_flow_done(workers->queue, worker->flow);
}

void charge_release(struct workers *workers, struct worker *worker)
{
    exchange_end(&worker->exchange);
    request_gone(workers, worker);
}

void charge_refuse_unavailable(struct workers *workers, struct worker *worker)
{
    exchange_refuse(&worker->exchange, PROTOCOL_UNAVAILABLE, WORKER_DOWN_TEXT);
    charge_release(workers, worker);
}

void charge_fini(struct workers *workers, struct worker *worker)
{
    start_clock(workers, worker);
    exchange_end(&worker->exchange);
    exchange_fini(&worker->exchange);
}

/* ---- when an instance is lost ---- */

void charge_reply_to_first(struct workers *workers, struct worker *worker)
{
    struct exchange *exchange = &worker->exchange;
    if (worker->given && exchange_has_several(exchange) && !exchange->answer.surplus)
        exchange_reply_each(exchange, &workers->rules->reply);
}

void charge_give_back(struct workers *workers, struct worker *worker)
{
    struct exchange *exchange = &worker->exchange;
    if (exchange->replied) {
        charge_release(workers, worker);
    } else if (!workers->on_demand) {
        struct request *requests[EXCHANGE_MAX + 1];
        unsigned count = 0;
        while ((requests[count] = exchange_return(exchange)))
            count++;
        while (count > 0) {
            request_defer(requests[--count]);
            workers->unread[workers->unread_count++] = requests[count];
        }
        request_gone(workers, worker);
    } else {
        start_clock(workers, worker);
        exchange_again(exchange);
        worker->given = false;
    }
}

void charge_fail_first(const struct workers *workers, struct worker *worker, const char *code,
                       const char *text)
{
    if (!workers->on_demand) {
        exchange_refuse_first(&worker->exchange, code, text);
        return;
    }
    exchange_end_session(&worker->exchange);
    exchange_refuse(&worker->exchange, code, text); /* those behind it get no answer */
}
