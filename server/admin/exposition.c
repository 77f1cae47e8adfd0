/* exposition: for each metric two lines that describe it, and one for each of its values. */
#include "server/admin/exposition.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/protocol.h"

/* The bounds of a histogram, as powers of two of a second: each second one, and the last. */
static const int bounds[] = {-14, -12, -10, -8, -6, -4, -2, 0, 2, 4, 5};

static void describe(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_counter(FILE *out, const char *name, const char *help, uint64_t value)
{
    describe(out, name, "counter", help);
    fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
    describe(out, name, "gauge", help);
    fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_labelled(FILE *out, const char *name, const char *label, const char *of,
                         uint64_t value)
{
    fprintf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, of, value);
}

/* ---- the process ---- */

static void put_build(FILE *out, const struct exposition *figures)
{
    static const char name[] = "banterd_build_info";
    describe(out, name, "gauge", "Always 1; the labels say what runs.");
    fprintf(out, "%s{version=\"%s\",handler=\"%s\",framing=\"%s\"} 1\n", name, BANTER_VERSION,
            figures->handler, figures->framing);
}

static void put_process(FILE *out, const struct process_figures *process)
{
    static const char start[] = "process_start_time_seconds";
    static const char cpu[] = "process_cpu_seconds_total";
    describe(out, start, "gauge", "When the process began, in seconds since 1970.");
    fprintf(out, "%s %.2f\n", start, process->started_s);
    describe(out, cpu, "counter", "Processor time that the process has used, user and system.");
    fprintf(out, "%s %.6f\n", cpu, process->cpu_s);
    put_gauge(out, "process_resident_memory_bytes", "Memory of the process that is in RAM.",
              process->resident_bytes);
    put_gauge(out, "process_open_fds", "File descriptors that are open.", process->open_fds);
    put_gauge(out, "process_max_fds", "File descriptors that may be open.", process->max_fds);
}

/* ---- clients and requests ---- */

static void put_sessions(FILE *out, const struct server_stats *stats)
{
    static const char refused[] = "banterd_refused_total";
    put_gauge(out, "banterd_sessions", "Clients that are connected.", stats->clients);
    put_gauge(out, "banterd_sessions_max", "Clients that may be connected at a time.",
              stats->max_clients);
    put_counter(out, "banterd_sessions_total", "Clients that have connected.", stats->sessions);
    describe(out, refused, "counter", "Clients that were refused, by the reason.");
    put_labelled(out, refused, "reason", "busy", stats->events[LOG_BUSY]);
    put_labelled(out, refused, "reason", "address", stats->events[LOG_ADDRESS_BUSY]);
    put_labelled(out, refused, "reason", "denied", stats->events[LOG_DENIED]);
    put_counter(out, "banterd_proxy_failed_total",
                "Connections that were closed, since their PROXY header was wrong.",
                stats->events[LOG_PROXY_FAILED]);
}

static void put_requests(FILE *out, const struct server_stats *stats)
{
    static const char errors[] = "banterd_errors_total";
    put_counter(out, "banterd_requests_total", "Requests that were taken.", stats->requests);
    describe(out, errors, "counter", "Error frames, by their code; other: of the handler's own.");
    for (int code = 0; code < PROTOCOL_CODES; code++)
        put_labelled(out, errors, "code", protocol_codes[code], stats->errors[code]);
    put_counter(out, "banterd_received_bytes_total", "Bytes that clients have sent.",
                stats->bytes_received);
    put_counter(out, "banterd_sent_bytes_total", "Bytes that were sent to clients.",
                stats->bytes_sent);
}

/* `label` is empty, or one in the form answered="late". */
static void put_histogram(FILE *out, const char *name, const char *label,
                          const struct latency *latency)
{
    const char *comma = *label ? "," : "", *open = *label ? "{" : "", *close = *label ? "}" : "";
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        fprintf(out, "%s_bucket{%s%sle=\"%.17g\"} %" PRIu64 "\n", name, label, comma,
                ldexp(1, bounds[i]), latency_up_to(latency, bounds[i]));
    fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, label, comma, latency->count);
    fprintf(out, "%s_sum%s%s%s %" PRIu64 ".%09" PRIu64 "\n", name, open, label, close,
            latency->nanoseconds / 1000000000, latency->nanoseconds % 1000000000);
    fprintf(out, "%s_count%s%s%s %" PRIu64 "\n", name, open, label, close, latency->count);
}

static void put_latency(FILE *out, const struct latency latency[SERVER_ANSWERED])
{
    static const char name[] = "banterd_request_seconds";
    describe(
        out, name, "histogram",
        "How long requests took: those answered at once, at most; late ones, until the reply.");
    put_histogram(out, name, "answered=\"at-once\"", &latency[SERVER_ANSWERED_AT_ONCE]);
    put_histogram(out, name, "answered=\"late\"", &latency[SERVER_ANSWERED_LATE]);
}

/* ---- TLS ---- */

static void put_tls(FILE *out, const struct exposition *figures)
{
    static const char results[] = "banterd_tls_handshakes_total";
    static const char seconds[] = "banterd_tls_handshake_seconds";
    static const char end[] = "banterd_certificate_end_timestamp_seconds";
    const struct lobby_figures *lobby = &figures->stats.lobby;
    describe(out, results, "counter", "Handshakes of TLS, by what came of them.");
    put_labelled(out, results, "result", "ok", lobby->handshakes[HANDSHAKE_OK]);
    put_labelled(out, results, "result", "failed", lobby->handshakes[HANDSHAKE_FAILED]);
    put_labelled(out, results, "result", "timeout", lobby->handshakes[HANDSHAKE_TIMEOUT]);
    put_labelled(out, results, "result", "denied", lobby->handshakes[HANDSHAKE_DENIED]);
    describe(out, seconds, "histogram",
             "How long handshakes took that went well, from what the client said first.");
    put_histogram(out, seconds, "", &figures->handshakes);
    put_gauge(out, "banterd_tls_waiting", "Connections that are to shake hands, and have not yet.",
              lobby->waiting);
    if (!figures->certificate_end_s) /* 0 would look like one that is over */
        return;
    describe(out, end, "gauge", "Until when the certificate is good, in seconds since 1970.");
    fprintf(out, "%s %" PRId64 "\n", end, figures->certificate_end_s);
}

/* ---- inside ---- */

static void put_engine(FILE *out, const struct server_stats *stats)
{
    put_gauge(out, "banterd_loops", "Event loops.", stats->loops);
    put_gauge(out, "banterd_loops_in_use", "Event loops to which clients are assigned.",
              stats->loops_in_use);
    put_counter(out, "banterd_batches_total", "Batches of events that the loops have worked off.",
                stats->batches);
    put_gauge(out, "banterd_threads", "Threads that run loops or handlers, or could.",
              stats->threads);
    put_counter(out, "banterd_handovers_total",
                "Loops that were taken from a handler that ran for long.", stats->handovers);
    put_counter(out, "banterd_offloaded_total",
                "Requests that were given to a thread outside of the loops.", stats->jobs);
    put_gauge(out, "banterd_offload_waiting", "Requests that wait for such a thread.",
              stats->waiting);
    put_counter(out, "banterd_accept_rests_total",
                "Times that nobody was accepted for a while, for want of descriptors or memory.",
                stats->accept_rests);
}

static void put_workers(FILE *out, const struct exposition *figures)
{
    static const char workers[] = "banterd_workers";
    describe(out, workers, "gauge", "Workers of the program, by what they do.");
    for (int state = 0; state < HANDLER_WORKER_STATES; state++)
        put_labelled(out, workers, "state",
                     handler_worker_state_name((enum handler_worker_state) state),
                     figures->workers[state]);
    put_counter(out, "banterd_worker_replacements_total",
                "Processes that have taken the place of others.", figures->worker_replacements);
}

/* ---- NATS ---- */

/* One value of each service. */
static const struct service_metric {
    const char *name, *type, *help;
    size_t value; /* where it is */
} service_metrics[] = {
#define AT(member) offsetof(struct nats_service_figures, member)
    {"banterd_service_connected", "gauge", "Whether a NATS server is connected to.",
     AT(is_connected)},
    {"banterd_service_connects_total", "counter", "NATS servers that were connected to.",
     AT(connects)},
    {"banterd_service_losses_total", "counter", "NATS servers that were lost.", AT(losses)},
    {"banterd_service_requests_total", "counter", "Requests that were taken from NATS.",
     AT(requests)},
    {"banterd_service_busy_total", "counter",
     "Requests that were refused, since all places were taken.", AT(busy)},
    {"banterd_service_withdrawn_total", "counter",
     "Requests that were taken and not begun, since nobody waited for them any more.",
     AT(withdrawn)},
    {"banterd_service_dropped_total", "counter",
     "Messages that were dropped, since they have no reply subject.", AT(dropped)},
    {"banterd_service_lost_total", "counter", "Answers that could not be sent.", AT(lost)},
    {"banterd_service_running", "gauge", "Requests that are taken and not answered.", AT(running)},
    {"banterd_service_limit", "gauge", "How many of these there may be.", AT(limit)},
#undef AT
};

static uint64_t value_of(const struct service_metric *metric,
                         const struct nats_service_figures *figures)
{
    return *(const uint64_t *) ((const char *) figures + metric->value);
}

static void put_services(FILE *out, const struct exposition *figures)
{
    if (figures->service_count == 0)
        return;
    for (size_t i = 0; i < sizeof service_metrics / sizeof *service_metrics; i++) {
        const struct service_metric *metric = &service_metrics[i];
        describe(out, metric->name, metric->type, metric->help);
        for (unsigned k = 0; k < figures->service_count; k++)
            put_labelled(out, metric->name, "subject", figures->services[k].subject,
                         value_of(metric, &figures->services[k]));
    }
}

/* The handler's. */
static void put_front(FILE *out, const struct exposition *figures)
{
    const struct nats_front_figures *front = &figures->front;
    if (!figures->is_front)
        return;
    put_gauge(out, "banterd_front_connected", "Whether a NATS server is connected to.",
              *front->server != '\0');
    put_counter(out, "banterd_front_connects_total", "NATS servers that were connected to.",
                front->connects);
    put_counter(out, "banterd_front_losses_total", "NATS servers that were lost.", front->losses);
    put_gauge(out, "banterd_front_down", "Whether nobody serves the subject.", front->is_down);
    put_gauge(out, "banterd_front_out", "Requests that are out.", front->out);
    put_gauge(out, "banterd_front_waiting", "Requests that wait until they can be sent.",
              front->waiting);
    put_counter(out, "banterd_front_tries_total", "Times that requests were sent.", front->tries);
    put_counter(out, "banterd_front_busy_total", "Tries for which somebody was too busy.",
                front->busy);
    put_counter(out, "banterd_front_nobody_total", "Tries for which nobody was there.",
                front->nobody);
    put_counter(out, "banterd_front_overdue_total",
                "Tries that were followed by others, since no answer had come.", front->overdue);
    put_counter(out, "banterd_front_late_total",
                "Replies that were dropped: too late, twice, or to nothing.", front->late);
    put_counter(out, "banterd_front_given_up_total",
                "Requests that were sent, and for which nobody waited any more.", front->given_up);
}

static void put_log(FILE *out, const struct server_stats *stats)
{
    put_counter(out, "banterd_log_lines_total", "Lines that were written to the log.",
                stats->log_lines);
    put_counter(out, "banterd_log_dropped_total",
                "Lines of the log that were dropped, since its reader was too slow.",
                stats->log_dropped);
}

static void put_reloads(FILE *out, const struct exposition *figures)
{
    static const char reloads[] = "banterd_reloads_total";
    const struct server_stats *stats = &figures->stats;
    describe(out, reloads, "counter", "How often files were read anew, by what came of it.");
    put_labelled(out, reloads, "result", "ok", stats->events[LOG_RELOADED]);
    put_labelled(out, reloads, "result", "failed", stats->events[LOG_RELOAD_FAILED]);
    put_gauge(out, "banterd_reload_timestamp_seconds",
              "When that was last done or tried, in seconds since 1970; 0: never.",
              figures->reloaded_s);
}

/* ---- all of it ---- */

char *exposition_text(const struct exposition *figures, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (!out)
        return NULL;
    put_build(out, figures);
    put_process(out, &figures->process);
    put_sessions(out, &figures->stats);
    put_requests(out, &figures->stats);
    put_latency(out, figures->latency);
    put_tls(out, figures);
    put_engine(out, &figures->stats);
    put_workers(out, figures);
    put_services(out, figures);
    put_front(out, figures);
    put_log(out, &figures->stats);
    put_reloads(out, figures);
    bool failed = ferror(out);
    if (fclose(out) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}
