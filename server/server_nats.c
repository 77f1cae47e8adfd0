/* server_nats: each of them in turn. */
#include "server/server_nats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/errands.h"
#include "server/nats/serving.h"

static const struct nats_serving *serving(const struct server *server)
{
    return server_config_of(server)->nats->serving;
}

/* ---- life ---- */

bool server_nats_open(struct server *server, struct error *error)
{
    const struct server_config *config = server_config_of(server);
    const struct server_nats *nats = config->nats;
    if (!nats)
        return true;
    server->services = calloc(nats->count, sizeof(struct nats_service *));
    if (!server->services)
        return error_set(error, "unable to serve for NATS: %s", strerror(ENOMEM));
    struct nats_service_config service = {
        .options = nats->options,
        .handler = config->handler,
        .admission = &server->admission,
        .log = server->shared.log,
        .cores = server->cores,
        .max_message = config->max_message,
        .lines = frame_codec_is_one_line(server->shared.settings.rules.codec),
        .handler_timeout_ms = config->handler_timeout_ms,
        .drain_timeout_ms = config->drain_timeout_ms,
        .stop_fd = config->stop_fd,
    };
    for (unsigned i = 0; i < nats->count; i++) {
        service.where = nats->addresses[i];
        server->services[i] = nats->serving->open(&service, error);
        if (!server->services[i])
            return false;
        server->service_count++;
    }
    return true;
}

void server_nats_begin(struct server *server)
{
    struct nats_service_figures figures;
    for (unsigned i = 0; i < server->service_count; i++) {
        serving(server)->begin(server->services[i], server->shared.executor,
                               server->shared.monitor);
        serving(server)->figures(server->services[i], &figures);
        log_tell(server->shared.log, LOG_LISTENING, 0, NATS_PREFIX "%s", figures.subject);
    }
}

void server_nats_stop(struct server *server)
{
    for (unsigned i = 0; i < server->service_count; i++)
        serving(server)->stop(server->services[i]);
}

void server_nats_wait(struct server *server, int64_t until_ms)
{
    for (unsigned i = 0; i < server->service_count; i++)
        serving(server)->wait(server->services[i], until_ms);
}

void server_nats_end(struct server *server)
{
    for (unsigned i = 0; i < server->service_count; i++)
        serving(server)->end(server->services[i]);
}

void server_nats_free(struct server *server)
{
    for (unsigned i = 0; i < server->service_count; i++)
        serving(server)->free(server->services[i]);
    free(server->services);
}

/* ---- figures ---- */

static const struct errands *errands(const struct server *server, unsigned i)
{
    return serving(server)->errands(server->services[i]);
}

uint64_t server_nats_requests(const struct server *server)
{
    uint64_t requests = 0;
    for (unsigned i = 0; i < server->service_count; i++)
        requests += counter_get(&errands(server, i)->loop.served);
    return requests;
}

void server_nats_stats(const struct server *server, struct server_stats *stats)
{
    for (unsigned i = 0; i < server->service_count; i++) {
        const struct counters *counters = &errands(server, i)->counters;
        stats->bytes_received += counter_get(&counters->received);
        stats->bytes_sent += counter_get(&counters->sent);
        for (int code = 0; code < PROTOCOL_CODES; code++)
            stats->errors[code] += counter_get(&counters->errors[code]);
    }
}

void server_nats_latency(const struct server *server, enum server_answered how,
                         struct latency *latency)
{
    for (unsigned i = 0; i < server->service_count; i++) {
        const struct counters *counters = &errands(server, i)->counters;
        latency_sum(latency, how == SERVER_ANSWERED_AT_ONCE ? &counters->latency_at_once
                                                            : &counters->latency_late);
    }
}

unsigned server_service_count(const struct server *server) { return server->service_count; }

void server_service_figures(const struct server *server, unsigned index,
                            struct nats_service_figures *figures)
{
    serving(server)->figures(server->services[index], figures);
}
