/* nats/leave: fence, finish, fence. */
#include "server/nats/leave.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "common/clock.h"

enum { RECALLS = 100 /* of a millisecond each, before a stop goes on without */ };

static void leave(struct nats_service *service)
{
    service->leaving = GONE;
    link_clear_timer(service->link, &service->patience);
    eventfd_write(service->gone_fd, 1);
}

/* ---- fences ---- */

/* If a fence does not arrive the server is lost, and so are messages that were on their way. */
static void is_unsubscribed(void *context, bool arrived)
{
    struct nats_service *service = context;
    (void) arrived;
    if (service->leaving == UNSUBSCRIBING)
        service->leaving = FINISHING;
}

static void is_flushed(void *context, bool arrived)
{
    (void) arrived;
    leave(context);
}

static void put_fence(struct nats_service *service, struct link_fence *fence,
                      void (*over)(void *context, bool arrived))
{
    *fence = (struct link_fence){.over = over, .context = service};
    link_fence(service->link, fence);
}

void leave_go_on(struct nats_service *service)
{
    if (service->leaving != FINISHING || service->errands.count > 0 || service->answers.count > 0)
        return;
    service->leaving = FLUSHING;
    put_fence(service, &service->flushed, is_flushed);
}

/* ---- the drain's time ---- */

/* What is still running is refused; if even that can't be sent nobody waits for it. */
static void patience_is_over(void *context, struct link_timer *timer)
{
    struct nats_service *service = context;
    if (!errands_recall(&service->errands) && service->recalls++ < RECALLS) {
        link_set_timer(service->link, timer, link_now_ms(service->link) + 1);
        return;
    }
    errands_refuse_all(&service->errands);
    if (service->leaving == UNSUBSCRIBING)
        service->leaving = FINISHING;
    if (service->answers.count > 0)
        leave(service);
}

void leave_begin(struct nats_service *service)
{
    if (service->leaving != SERVING)
        return;
    service->leaving = UNSUBSCRIBING;
    link_unsubscribe(service->link, &service->requests);
    for (size_t i = 0; !service->config.options->no_micro && i < MICRO_VERBS * MICRO_SCOPES; i++)
        link_unsubscribe(service->link, &service->micro_subscriptions[i].subscription);
    service->patience.due = patience_is_over;
    service->patience.context = service;
    link_set_timer(service->link, &service->patience,
                   link_now_ms(service->link) + service->config.drain_timeout_ms);
    put_fence(service, &service->unsubscribed, is_unsubscribed);
}

bool leave_wait(struct nats_service *service, int64_t until_ms)
{
    struct pollfd fd = {service->gone_fd, POLLIN, 0};
    int ready;
    do {
        ready = poll(&fd, 1, clock_wait_ms(until_ms - clock_ms()));
    } while (ready < 0);
    return ready > 0;
}
