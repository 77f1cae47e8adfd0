/* server_figures: what a server has done, and does. */
#include "common/clock.h"
#include "common/protocol.h"
#include "server/net/lobby.h"
#include "server/net/tls.h"
#include "server/server_nats.h"
#include "server/server_state.h"
#include "server/session/inquiry.h"

uint64_t server_count_requests(const struct server *server)
{
    uint64_t requests = server_nats_requests(server);
    for (unsigned i = 0; i < server->shard_count; i++)
        requests += counter_get(&server->loops[i]->served);
    return requests;
}

void server_stats(const struct server *server, struct server_stats *stats)
{
    *stats = (struct server_stats){
        .sessions = atomic_load(&server->admission.accepted),
        .requests = server_count_requests(server),
        .handovers = monitor_handovers(server->monitor),
        .jobs = executor_submitted(server->executor),
        .accept_rests = counter_get(&server->acceptor.rests),
        .log_lines = log_lines(server->shared.log),
        .log_dropped = log_dropped(server->shared.log),
        .memory_held = atomic_load(&server->memory.held),
        .clients = atomic_load(&server->admission.clients),
        .max_clients = server->admission.max_clients,
        .refused = atomic_load(&server->admission.refused),
        .computing = executor_computing(server->executor),
        .calling = pool_calling(server->pool),
        .waiting = executor_waiting(server->executor),
        .threads = pool_threads(server->pool),
        .loops = server->shard_count,
        .loops_in_use = atomic_load(&server->scaler.in_use),
    };
    for (unsigned i = 0; i < server->shard_count; i++) {
        const struct counters *counters = &server->shards[i].counters;
        stats->bytes_received += counter_get(&counters->received);
        stats->bytes_sent += counter_get(&counters->sent);
        stats->moves += counter_get(&counters->moved);
        stats->batches += counter_get(&counters->batches);
        for (int code = 0; code < PROTOCOL_CODES; code++)
            stats->errors[code] += counter_get(&counters->errors[code]);
    }
    server_nats_stats(server, stats);
    for (int event = 0; event < LOG_EVENTS; event++)
        stats->events[event] = log_count(server->shared.log, (enum log_event) event);
    lobby_figures(server->shared.lobby, &stats->lobby);
    /* Said by whoever accepts, which at the stop is no owner of a shard. */
    stats->errors[PROTOCOL_CODE_BUSY] += stats->events[LOG_BUSY] + stats->events[LOG_ADDRESS_BUSY];
    stats->errors[PROTOCOL_CODE_DENIED] += stats->events[LOG_DENIED];
    stats->errors[PROTOCOL_CODE_TLS_REQUIRED] += stats->lobby.refused_plain;
}

void server_latency(const struct server *server, enum server_answered how, struct latency *latency)
{
    *latency = (struct latency){0};
    for (unsigned i = 0; i < server->shard_count; i++) {
        const struct counters *counters = &server->shards[i].counters;
        latency_sum(latency, how == SERVER_ANSWERED_AT_ONCE ? &counters->latency_at_once
                                                            : &counters->latency_late);
    }
    server_nats_latency(server, how, latency);
}

void server_handshake_latency(const struct server *server, struct latency *latency)
{
    *latency = (struct latency){0};
    lobby_latency(server->shared.lobby, latency);
}

int64_t server_certificate_end_s(const struct server *server)
{
    const struct tls_server *tls = server_config_of(server)->tls;
    return tls ? atomic_load(&tls->good_until_s) : 0;
}

bool server_moves(struct server *server)
{
    int64_t now_ms = clock_ms();
    bool moves = true;
    for (unsigned i = 0; i < server->shard_count; i++)
        moves = shard_moves(&server->shards[i], now_ms) && moves;
    return moves;
}

void server_loop_stats(const struct server *server, unsigned index, struct server_loop_stats *stats)
{
    const struct shard *shard = &server->shards[index];
    size_t sessions = atomic_load(&shard->store.count), lingering = linger_count(&shard->linger);
    bool is_among_those_in_use = index < atomic_load(&server->scaler.in_use);
    stats->in_use = atomic_load(&shard->serves) && is_among_those_in_use;
    stats->sessions = sessions > lingering ? (unsigned) (sessions - lingering) : 0;
    stats->requests = counter_get(&shard->loop.served);
}

struct inquiry *server_inquire(const struct server *server, enum inquiry_kind kind,
                               uint64_t session)
{
    return inquiry_new(&server->shared, server->shard_count, kind, session);
}

unsigned server_address_count(const struct server *server)
{
    return server->acceptor.listeners.count;
}

const struct address *server_address(const struct server *server, unsigned index)
{
    return &server->acceptor.listeners.items[index].address;
}
