/* nats/service: its life, and what its link calls. */
#include "server/nats/serving.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "server/handler.h"
#include "server/nats/asked.h"
#include "server/nats/leave.h"
#include "server/nats/requests.h"
#include "server/nats/service_state.h"

enum { PLACES_OF_SLEEPERS = 64 /* a core: they need threads, not cores */ };

/* ---- what the link calls ---- */

static void run_errands(void *context) { errands_run(&((struct nats_service *) context)->errands); }

static void timer_is_due(void *context, struct link_timer *timer)
{
    struct nats_service *service = context;
    (void) timer;
    service->timer_ms = CLOCK_NEVER;
    run_errands(service);
}

static void arm(struct nats_service *service)
{
    int64_t due_ms = errands_due_ms(&service->errands);
    if (due_ms < service->timer_ms && link_set_timer(service->link, &service->timer, due_ms))
        service->timer_ms = due_ms;
}

/* Calls that are known to sleep leave the cores to others. */
static unsigned places(const struct nats_service *service)
{
    const struct handler *handler = service->config.handler;
    if (handler->places)
        return handler->places;
    return service->errands.cost == COST_SLEEPS ? PLACES_OF_SLEEPERS * service->config.cores
                                                : service->config.cores;
}

static void begin_batch(void *context)
{
    errands_begin_batch(&((struct nats_service *) context)->errands);
}

static void end_batch(void *context)
{
    struct nats_service *service = context;
    errands_end_batch(&service->errands);
    leave_go_on(service);
    quota_set_places(&service->quota, places(service));
    atomic_store_explicit(&service->running, service->errands.count, memory_order_relaxed);
    atomic_store_explicit(&service->limit, service->quota.limit, memory_order_relaxed);
    arm(service);
}

static void is_up(void *context) { answers_go_on(&((struct nats_service *) context)->answers); }

static void was_paused(void *context, int64_t ms)
{
    errands_postpone(&((struct nats_service *) context)->errands, ms);
}

/* ---- beginning ---- */

static void subscribe(struct nats_service *service)
{
    const char *group = service->config.options->group;
    service->gone = (struct link_subscription){
        .subject = service->gone_subject,
        .message = requests_withdraw,
        .context = service,
    };
    service->requests = (struct link_subscription){
        .subject = service->subject,
        .group = group ? group : NATS_DEFAULT_GROUP,
        .message = requests_take,
        .context = service,
    };
    link_subscribe(service->link, &service->gone);
    link_subscribe(service->link, &service->requests);
    if (!service->config.options->no_micro)
        asked_subscribe(service);
}

static void begin_in_link(void *context, struct link_task *task)
{
    struct nats_service *service = context;
    (void) task;
    service->errands.config.executor = service->executor;
    service->errands.config.monitor = service->monitor;
    if (service->leaving == SERVING)
        subscribe(service);
}

static void begin(struct nats_service *service, struct executor *executor, struct monitor *monitor)
{
    service->executor = executor;
    service->monitor = monitor;
    service->begin_task = (struct link_task){.run = begin_in_link, .context = service};
    link_post(service->link, &service->begin_task);
}

static void stop_in_link(void *context, struct link_task *task)
{
    (void) task;
    leave_begin(context);
}

static void stop(struct nats_service *service)
{
    service->stop_task = (struct link_task){.run = stop_in_link, .context = service};
    link_post(service->link, &service->stop_task);
}

/* ---- opening ---- */

static void make_names(struct nats_service *service)
{
    const struct nats_options *options = service->config.options;
    unsigned char random[MICRO_ID_SIZE];
    unsigned shard = 0;
    if (getrandom(random, sizeof random, 0) != sizeof random ||
        getrandom(&shard, sizeof shard, 0) != sizeof shard)
        memset(random, (int) clock_ns(CLOCK_MONOTONIC), sizeof random);
    if (service->where.shards)
        words_shard(&service->where, shard % service->where.shards, service->subject);
    else
        words_shard(&service->where, 0, service->subject);
    words_gone(service->subject, service->gone_subject);
    words_name(service->where.subject, service->name);
    snprintf(service->origin, sizeof service->origin, NATS_PREFIX "%s", service->subject);
    service->micro = (struct micro_service){
        .name = options->name ? options->name : service->name,
        .subject = service->subject,
        .group = options->group ? options->group : NATS_DEFAULT_GROUP,
        .handler = service->config.handler->kind->name,
        .started_ns = clock_ns(CLOCK_REALTIME),
    };
    micro_make_id(random, service->micro.id);
}

static bool open_errands(struct nats_service *service, struct error *error)
{
    const struct nats_service_config *config = &service->config;
    const struct errands_config errands = {
        .handler = config->handler,
        .admission = config->admission,
        .log = config->log,
        .origin = service->origin,
        .timeout_ms = config->handler_timeout_ms,
        .answered = requests_answered,
        .context = service,
    };
    return errands_init(&service->errands, &errands) ||
           error_set(error, "unable to serve for NATS: %s", strerror(errno));
}

static bool open_link(struct nats_service *service, struct error *error)
{
    const struct nats_options *options = service->config.options;
    const struct link_plan plan = {
        .service = &service->where,
        .secrets = {options->login, options->authorities, options->certificate, options->key},
        .name = service->micro.name,
        .owner = {.up = is_up,
                  .room = is_up,
                  .begin = begin_batch,
                  .end = end_batch,
                  .paused = was_paused,
                  .context = service},
        .log = service->config.log,
        .max_message = service->config.max_message,
    };
    service->link = link_open(&plan, error);
    if (!service->link)
        return false;
    answers_init(&service->answers, service->link, service->config.handler_timeout_ms);
    service->timer = (struct link_timer){.due = timer_is_due, .context = service};
    service->timer_ms = CLOCK_NEVER;
    service->watch = (struct link_watch){
        .fd = errands_fd(&service->errands), .ready = run_errands, .context = service};
    service->gone_fd = eventfd(0, EFD_CLOEXEC);
    if (service->gone_fd < 0 || !link_watch(service->link, &service->watch))
        return error_set(error, "unable to serve for NATS: %s", strerror(errno));
    return link_start(service->link, service->config.stop_fd, error);
}

static void end(struct nats_service *service)
{
    link_stop(service->link);
    requests_forget(service);
    errands_end_session(&service->errands);
}

static void free_service(struct nats_service *service)
{
    errands_fini(&service->errands);
    answers_fini(&service->answers);
    requests_fini(service);
    descriptor_close(&service->gone_fd);
    free(service);
}

static struct nats_service *open_service(const struct nats_service_config *config,
                                         struct error *error)
{
    struct nats_service *service = calloc(1, sizeof *service);
    if (!service) {
        error_set(error, "unable to serve for NATS: %s", strerror(ENOMEM));
        return NULL;
    }
    service->config = *config;
    service->gone_fd = -1;
    SLIST_INIT(&service->spares);
    STAILQ_INIT(&service->answers.kept);
    if (words_parse(&service->where, config->where, error)) {
        make_names(service);
        quota_init(&service->quota, places(service));
        if (open_errands(service, error) && open_link(service, error))
            return service;
        end(service);
    }
    free_service(service);
    return NULL;
}

/* ---- for those who watch over it ---- */

static void figures(struct nats_service *service, struct nats_service_figures *figures)
{
    struct link_figures link = {0};
    if (service->link)
        link_figures(service->link, &link);
    *figures = (struct nats_service_figures){
        .is_connected = link.is_up,
        .connects = link.connects,
        .losses = link.losses,
        .requests = counter_get(&service->errands.loop.served),
        .busy = counter_get(&service->busy),
        .withdrawn = counter_get(&service->withdrawn),
        .dropped = counter_get(&service->dropped),
        .lost = counter_get(&service->answers.lost),
        .running = atomic_load_explicit(&service->running, memory_order_relaxed),
        .limit = atomic_load_explicit(&service->limit, memory_order_relaxed),
    };
    memcpy(figures->subject, service->subject, sizeof figures->subject);
    memcpy(figures->server, link.server, sizeof figures->server);
}

static const struct errands *errands(const struct nats_service *service)
{
    return &service->errands;
}

const struct nats_serving nats_serving = {
    .open = open_service,
    .begin = begin,
    .stop = stop,
    .wait = leave_wait,
    .end = end,
    .free = free_service,
    .figures = figures,
    .errands = errands,
};
