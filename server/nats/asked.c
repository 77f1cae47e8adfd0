/* nats/asked: nine subscriptions. */
#include "server/nats/asked.h"

static struct micro_figures figures_of(const struct nats_service *service)
{
    const struct counters *counters = &service->errands.counters;
    struct micro_figures figures = {
        .requests = counter_get(&service->errands.loop.served),
        .nanoseconds = counter_get(&counters->latency_at_once.nanoseconds) +
                       counter_get(&counters->latency_late.nanoseconds),
        .last_error = service->last_error,
    };
    for (int code = 0; code < PROTOCOL_CODES; code++)
        figures.errors += counter_get(&counters->errors[code]);
    return figures;
}

static void answer(void *context, const struct link_message *message)
{
    const struct micro_subscription *asked = context;
    struct nats_service *service = asked->service;
    struct micro_figures figures = figures_of(service);
    struct buffer text = {0};
    if (*message->reply && micro_answer(&service->micro, asked->verb, &figures, &text)) {
        const struct errands_reply reply = {buffer_head(&text), buffer_size(&text), false};
        answers_send(&service->answers, message->reply, &reply);
    }
    buffer_fini(&text);
}

void asked_subscribe(struct nats_service *service)
{
    for (int i = 0; i < MICRO_VERBS * MICRO_SCOPES; i++) {
        struct micro_subscription *asked = &service->micro_subscriptions[i];
        *asked = (struct micro_subscription){
            .subscription = {.subject = asked->subject, .message = answer, .context = asked},
            .service = service,
            .verb = (enum micro_verb)(i / MICRO_SCOPES),
        };
        micro_subject(&service->micro, asked->verb, (enum micro_scope)(i % MICRO_SCOPES),
                      asked->subject);
        link_subscribe(service->link, &asked->subscription);
    }
}
