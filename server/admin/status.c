/* status: each line of the function that puts them together is a key, or a group of them. */
#include "server/admin/status.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/date.h"
#include "common/histogram.h"
#include "common/json.h"
#include "server/handler_workers.h"
#include "server/log/stamp.h"

/* ---- groups ---- */

static void put_times(struct json *json, const struct status_source *source)
{
    char text[LOG_STAMP_BYTES];
    struct log_stamp stamp = {0};
    log_stamp_look(&stamp);
    *log_stamp_put(&stamp, text, source->started_ns) = '\0';
    json_text(json, "started", text);
    json_thousandths(json, "uptime_s",
                     (uint64_t) (clock_ns(CLOCK_MONOTONIC) - source->started_ns) / 1000000);
}

static void put_listeners(struct json *json, const struct server *server)
{
    char text[ADDRESS_TEXT_SIZE], subject[WORDS_SUBJECT_SIZE + sizeof NATS_PREFIX];
    json_begin_array(json, "listeners");
    for (unsigned i = 0; i < server_address_count(server); i++) {
        address_print(server_address(server, i), text);
        json_text(json, NULL, text);
    }
    for (unsigned i = 0; i < server_service_count(server); i++) {
        struct nats_service_figures figures;
        server_service_figures(server, i, &figures);
        snprintf(subject, sizeof subject, NATS_PREFIX "%s", figures.subject);
        json_text(json, NULL, subject);
    }
    json_end_array(json);
}

static void put_service(struct json *json, const struct nats_service_figures *figures)
{
    json_begin_object(json, NULL);
    json_text(json, "subject", figures->subject);
    if (*figures->server)
        json_text(json, "server", figures->server);
    else
        json_null(json, "server");
    json_number(json, "connects", figures->connects);
    json_number(json, "losses", figures->losses);
    json_number(json, "requests", figures->requests);
    json_number(json, "busy", figures->busy);
    json_number(json, "withdrawn", figures->withdrawn);
    json_number(json, "dropped", figures->dropped);
    json_number(json, "lost", figures->lost);
    json_number(json, "running", figures->running);
    json_number(json, "limit", figures->limit);
    json_end_object(json);
}

/* Of a handler that asks over NATS. */
static void put_front(struct json *json, struct handler *handler)
{
    struct nats_front_figures front;
    if (!handler->kind->front_figures)
        return;
    handler->kind->front_figures(handler, &front);
    json_begin_object(json, "front");
    if (*front.server)
        json_text(json, "server", front.server);
    else
        json_null(json, "server");
    json_number(json, "connects", front.connects);
    json_number(json, "losses", front.losses);
    json_bool(json, "down", front.is_down);
    json_number(json, "out", front.out);
    json_number(json, "waiting", front.waiting);
    json_number(json, "tries", front.tries);
    json_number(json, "busy", front.busy);
    json_number(json, "nobody", front.nobody);
    json_number(json, "overdue", front.overdue);
    json_number(json, "late", front.late);
    json_number(json, "given_up", front.given_up);
    json_end_object(json);
}

/* Subjects of NATS, if some are served. */
static void put_services(struct json *json, const struct server *server)
{
    if (server_service_count(server) == 0)
        return;
    json_begin_array(json, "services");
    for (unsigned i = 0; i < server_service_count(server); i++) {
        struct nats_service_figures figures;
        server_service_figures(server, i, &figures);
        put_service(json, &figures);
    }
    json_end_array(json);
}

static void put_errors(struct json *json, const struct server_stats *stats)
{
    json_begin_object(json, "errors");
    for (int code = 0; code < PROTOCOL_CODES; code++)
        json_number(json, protocol_codes[code], stats->errors[code]);
    json_end_object(json);
}

static void put_refused(struct json *json, const struct server_stats *stats)
{
    json_begin_object(json, "refused");
    json_number(json, "busy", stats->events[LOG_BUSY]);
    json_number(json, "address", stats->events[LOG_ADDRESS_BUSY]);
    json_number(json, "denied", stats->events[LOG_DENIED]);
    json_end_object(json);
}

static void put_minute(struct json *json, const struct latency *minute)
{
    static const struct {
        const char *key;
        unsigned parts;
    } quantiles[] = {
        {"p50", HISTOGRAM_WHOLE / 2},
        {"p99", HISTOGRAM_WHOLE / 100 * 99},
        {"p999", HISTOGRAM_WHOLE / 1000 * 999},
        {"max", HISTOGRAM_WHOLE},
    };
    json_begin_object(json, "request_us");
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        json_thousandths(json, quantiles[i].key, latency_quantile_ns(minute, quantiles[i].parts));
    json_end_object(json);
}

static void put_loops(struct json *json, const struct server *server, unsigned count)
{
    json_begin_array(json, "loops");
    for (unsigned i = 0; i < count; i++) {
        struct server_loop_stats stats;
        server_loop_stats(server, i, &stats);
        json_begin_object(json, NULL);
        json_bool(json, "in_use", stats.in_use);
        json_number(json, "sessions", stats.sessions);
        json_number(json, "requests", stats.requests);
        json_end_object(json);
    }
    json_end_array(json);
}

static void put_late(struct json *json, const struct server_stats *stats)
{
    json_begin_object(json, "late");
    json_number(json, "running", stats->calling);
    json_number(json, "waiting", stats->waiting);
    json_end_object(json);
}

static void put_workers(struct json *json, const char *key, struct handler *handler)
{
    struct handler_worker worker;
    unsigned place = 0;
    json_begin_array(json, key);
    while (handler_next_worker(handler, &place, &worker)) {
        json_begin_object(json, NULL);
        json_number(json, "worker", worker.number);
        json_text(json, "state", handler_worker_state_name(worker.state));
        if (worker.pid)
            json_number(json, "pid", (uint64_t) worker.pid);
        else
            json_null(json, "pid");
        json_number(json, "requests", worker.requests);
        json_number(json, "restarts", worker.restarts);
        json_end_object(json);
    }
    json_end_array(json);
}

static void put_log(struct json *json, const struct server_stats *stats)
{
    json_begin_object(json, "log");
    json_number(json, "lines", stats->log_lines);
    json_number(json, "dropped", stats->log_dropped);
    json_end_object(json);
}

/* null if nobody speaks it here. */
static void put_tls(struct json *json, const struct server *server,
                    const struct lobby_figures *lobby)
{
    char text[DATE_SIZE];
    int64_t end_s = server_certificate_end_s(server);
    if (!end_s) {
        json_null(json, "tls");
        return;
    }
    json_begin_object(json, "tls");
    json_number(json, "handshakes", lobby->handshakes[HANDSHAKE_OK]);
    json_number(json, "failed",
                lobby->handshakes[HANDSHAKE_FAILED] + lobby->handshakes[HANDSHAKE_TIMEOUT] +
                    lobby->handshakes[HANDSHAKE_DENIED]);
    json_number(json, "waiting", lobby->waiting);
    json_text(json, "certificate_until", date_text(end_s, text));
    json_end_object(json);
}

/* null before the first. */
static void put_reload(struct json *json, const struct reloading *reloading)
{
    bool done;
    char text[DATE_SIZE];
    int64_t at_s = reloading_last_s(reloading, &done);
    if (!at_s) {
        json_null(json, "reload");
        return;
    }
    json_begin_object(json, "reload");
    json_text(json, "at", date_text(at_s, text));
    json_bool(json, "ok", done);
    json_end_object(json);
}

/* ---- all of it ---- */

static void put_status(struct json *json, const struct status_source *source,
                       const struct latency *minute)
{
    struct server_stats stats;
    server_stats(source->server, &stats);
    json_text(json, "version", BANTER_VERSION);
    json_number(json, "pid", (uint64_t) getpid());
    put_times(json, source);
    put_listeners(json, source->server);
    json_text(json, "handler", source->handler->kind->name);
    json_text(json, "framing", frame_codec_name(source->codec));
    json_number(json, "sessions", stats.clients);
    json_number(json, "max_clients", stats.max_clients);
    json_number(json, "sessions_total", stats.sessions);
    json_number(json, "requests_total", stats.requests);
    put_errors(json, &stats);
    put_refused(json, &stats);
    json_number(json, "received_bytes", stats.bytes_received);
    json_number(json, "sent_bytes", stats.bytes_sent);
    put_minute(json, minute);
    put_loops(json, source->server, stats.loops);
    put_services(json, source->server);
    put_front(json, source->handler);
    put_late(json, &stats);
    json_number(json, "threads", stats.threads);
    put_workers(json, "workers", source->handler);
    put_log(json, &stats);
    put_tls(json, source->server, &stats.lobby);
    json_number(json, "memory_bytes", stats.memory_held);
    put_reload(json, source->reloading);
}

/* What was appended stays only if it is whole. */
static bool finish(const struct json *json, size_t before)
{
    if (json->failed)
        json->out->end = json->out->begin + before;
    return !json->failed;
}

void status_latency(const struct status_source *source, struct latency *latency)
{
    struct latency late;
    server_latency(source->server, SERVER_ANSWERED_AT_ONCE, latency);
    server_latency(source->server, SERVER_ANSWERED_LATE, &late);
    latency_merge(latency, &late);
}

bool status_append(const struct status_source *source, const struct recent *recent,
                   struct buffer *out)
{
    struct json json = {.out = out};
    struct latency so_far, minute;
    status_latency(source, &so_far);
    recent_minute(recent, &so_far, &minute);
    size_t before = buffer_size(out);
    json_begin_object(&json, NULL);
    put_status(&json, source, &minute);
    json_end_object(&json);
    return finish(&json, before);
}

bool status_append_workers(struct handler *handler, struct buffer *out)
{
    struct json json = {.out = out};
    size_t before = buffer_size(out);
    put_workers(&json, NULL, handler);
    return finish(&json, before);
}
