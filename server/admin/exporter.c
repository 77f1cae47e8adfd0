/*
 * exporter: listeners, and a few connections that each read a head, write a response, and end.
 *
 * One GET needs no library. libmicrohttpd is linked with GnuTLS and, by that, with eight others:
 * with it a program that does nothing needs 1.7 ms from start to end instead of 0.6, whether it is
 * asked for metrics or not. What it would spare is less than what it takes to keep it from the rest
 * of HTTP.
 */
#include "server/admin/exporter.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/admin/admin.h"
#include "server/admin/exposition.h"
#include "server/admin/http.h"
#include "server/admin/reloading.h"
#include "server/handler.h"
#include "server/log/log.h"
#include "server/net/listener.h"

enum {
    MAX_HEAD = 4096,
    ACCEPTS_AT_ONCE = 16, /* before the thread looks at other things */
    REST_MS = 100,        /* nobody is accepted for so long if descriptors are out */
    TIME_MS = 5000,       /* for the request; then for the response */
    END_MS = 1000,        /* for the other end to close, too */
    PULSE_MS = 1000,
};

enum phase {
    FREE,
    READS,
    WRITES,
    ENDS, /* our half is closed; what still comes is thrown away, or it might destroy the response
           */
};

struct connection {
    struct admin_item item; /* first */
    struct exporter *exporter;
    enum phase phase;
    uint64_t number; /* in the order of the accepts */
    int fd;
    char head[MAX_HEAD];
    size_t head_size;
    struct buffer response;
};

/* A listener that is watched. */
struct door {
    struct admin_item item; /* first */
    struct exporter *exporter;
    int fd;
};

struct exporter {
    struct exporter_config config;
    struct admin *admin;
    struct process_figures process;
    struct listeners listeners;
    struct door *doors;      /* one for each listener */
    struct admin_item pulse; /* looks whether the loops move, since that has to be seen twice */
    uint64_t accepted;
    struct connection connections[EXPORTER_CONNECTIONS];
};

/* ---- what is answered ---- */

static void count_workers(struct handler *handler, struct exposition *figures)
{
    unsigned place = 0;
    struct handler_worker worker;
    while (handler_next_worker(handler, &place, &worker))
        figures->workers[worker.state]++;
    figures->worker_replacements = handler_replacements(handler);
}

static uint64_t reloaded_s(const struct reloading *reloading)
{
    bool done;
    return reloading ? (uint64_t) reloading_last_s(reloading, &done) : 0;
}

static void read_front(struct handler *handler, struct exposition *figures)
{
    figures->is_front = handler->kind->front_figures;
    if (figures->is_front)
        handler->kind->front_figures(handler, &figures->front);
}

static void read_services(const struct server *server, struct exposition *figures)
{
    figures->service_count = server_service_count(server);
    for (unsigned i = 0; i < figures->service_count; i++)
        server_service_figures(server, i, &figures->services[i]);
}

/* NULL: out of memory. */
static char *make_metrics(struct exporter *exporter, size_t *size)
{
    const struct exporter_config *config = &exporter->config;
    struct exposition *figures = calloc(1, sizeof *figures);
    if (!figures)
        return NULL;
    process_figures_read(&exporter->process);
    figures->process = exporter->process;
    figures->handler = config->handler->kind->name;
    figures->framing = frame_codec_name(config->framing);
    server_stats(config->server, &figures->stats);
    for (int how = 0; how < SERVER_ANSWERED; how++)
        server_latency(config->server, (enum server_answered) how, &figures->latency[how]);
    server_handshake_latency(config->server, &figures->handshakes);
    figures->certificate_end_s = server_certificate_end_s(config->server);
    count_workers(config->handler, figures);
    read_services(config->server, figures);
    read_front(config->handler, figures);
    figures->reloaded_s = reloaded_s(config->reloading);
    char *text = exposition_text(figures, size);
    free(figures);
    return text;
}

static bool put_text(struct buffer *out, const struct http_request *request,
                     enum http_status status, const char *text)
{
    struct http_response response = {
        .status = status,
        .type = "text/plain; charset=utf-8",
        .body = text,
        .body_size = strlen(text),
        .without_body = request->method == HTTP_HEAD,
    };
    return http_put_response(out, &response, time(NULL));
}

static bool put_metrics(struct buffer *out, const struct http_request *request,
                        struct exporter *exporter)
{
    size_t size;
    char *text = make_metrics(exporter, &size);
    struct http_response response = {
        .status = HTTP_OK,
        .type = EXPOSITION_TYPE,
        .body = text,
        .body_size = size,
        .without_body = request->method == HTTP_HEAD,
    };
    bool is_put = text && http_put_response(out, &response, time(NULL));
    free(text);
    return is_put;
}

static bool put_health(struct buffer *out, const struct http_request *request,
                       const struct exporter *exporter)
{
    if (exporter->config.is_stopping(exporter->config.context))
        return put_text(out, request, HTTP_UNAVAILABLE, "stopping\n");
    if (!server_moves(exporter->config.server))
        return put_text(out, request, HTTP_UNAVAILABLE, "stuck\n");
    return put_text(out, request, HTTP_OK, "ok\n");
}

static bool is_path(const struct http_request *request, const char *path)
{
    return request->path_size == strlen(path) &&
           memcmp(request->path, path, request->path_size) == 0;
}

/* False: out of memory. */
static bool put_response(struct buffer *out, const struct http_request *request,
                         struct exporter *exporter)
{
    if (request->method == HTTP_OTHER_METHOD)
        return put_text(out, request, HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (is_path(request, "/metrics"))
        return put_metrics(out, request, exporter);
    if (is_path(request, "/health"))
        return put_health(out, request, exporter);
    return put_text(out, request, HTTP_NOT_FOUND, "there are /metrics and /health\n");
}

/* ---- connections ---- */

static void end(struct connection *connection)
{
    admin_forget(&connection->item);
    close(connection->fd);
    buffer_fini(&connection->response);
    connection->phase = FREE;
}

/* From now on it waits for these events, for so long. */
static void wait_for(struct connection *connection, enum phase phase, uint32_t events, int ms)
{
    struct admin *admin = connection->exporter->admin;
    connection->phase = phase;
    admin_due_at(admin, &connection->item, admin_now_ms(admin) + ms);
    if (!admin_watch(admin, &connection->item, connection->fd, events))
        end(connection);
}

static void write_some(struct connection *connection)
{
    struct buffer *response = &connection->response;
    ssize_t sent = send(connection->fd, buffer_head(response), buffer_size(response), MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            end(connection);
        return;
    }
    buffer_consume(response, (size_t) sent);
    if (buffer_size(response) > 0)
        return;
    shutdown(connection->fd, SHUT_WR);
    wait_for(connection, ENDS, EPOLLIN, END_MS);
}

/* The response is all that is left to do, even if there is none for want of memory. */
static void respond(struct connection *connection, enum http_outcome outcome,
                    const struct http_request *request)
{
    struct buffer *response = &connection->response;
    bool is_put = outcome == HTTP_REQUEST
                      ? put_response(response, request, connection->exporter)
                      : put_text(response, request, HTTP_BAD_REQUEST, "this is no HTTP/1.1\n");
    if (!is_put) {
        end(connection);
        return;
    }
    wait_for(connection, WRITES, EPOLLOUT, TIME_MS);
    if (connection->phase == WRITES)
        write_some(connection);
}

static void read_some(struct connection *connection)
{
    struct http_request request = {.method = HTTP_OTHER_METHOD};
    char *head = connection->head;
    size_t room = MAX_HEAD - connection->head_size;
    ssize_t got = recv(connection->fd, head + connection->head_size, room, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    connection->head_size += got > 0 ? (size_t) got : 0;
    enum http_outcome outcome = http_read_request(head, connection->head_size, &request);
    if (got <= 0 || (outcome == HTTP_MORE && connection->head_size == MAX_HEAD))
        end(connection);
    else if (outcome != HTTP_MORE)
        respond(connection, outcome, &request);
}

/* Throws away what still comes. */
static void drain_some(struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->head, MAX_HEAD, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        end(connection);
}

static void connection_ready(struct admin_item *item, uint32_t events)
{
    struct connection *connection = (struct connection *) item;
    (void) events; /* a call tells more */
    if (connection->phase == READS)
        read_some(connection);
    else if (connection->phase == WRITES)
        write_some(connection);
    else
        drain_some(connection);
}

static void connection_due(struct admin_item *item) { end((struct connection *) item); }

/* ---- accepting ---- */

/* A free place, or that of the oldest connection. */
static struct connection *make_place(struct exporter *exporter)
{
    struct connection *oldest = exporter->connections;
    for (int i = 0; i < EXPORTER_CONNECTIONS; i++) {
        struct connection *connection = &exporter->connections[i];
        if (connection->phase == FREE)
            return connection;
        if (connection->number < oldest->number)
            oldest = connection;
    }
    end(oldest);
    return oldest;
}

/* Its request has most often come with it. */
static void begin(struct exporter *exporter, int fd)
{
    struct connection *connection = make_place(exporter);
    connection->item = (struct admin_item){.ready = connection_ready, .due = connection_due};
    connection->exporter = exporter;
    connection->number = exporter->accepted++;
    connection->fd = fd;
    connection->head_size = 0;
    wait_for(connection, READS, EPOLLIN, TIME_MS);
    if (connection->phase == READS)
        read_some(connection);
}

/* If more has failed than that connection: there are no descriptors, or no memory. */
static void rest(struct door *door)
{
    struct admin *admin = door->exporter->admin;
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
        return;
    admin_watch(admin, &door->item, door->fd, 0);
    admin_due_at(admin, &door->item, admin_now_ms(admin) + REST_MS);
}

static void door_ready(struct admin_item *item, uint32_t events)
{
    struct door *door = (struct door *) item;
    (void) events;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(door->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            rest(door);
            return;
        }
        begin(door->exporter, fd);
    }
}

static void door_due(struct admin_item *item)
{
    struct door *door = (struct door *) item;
    if (!admin_watch(door->exporter->admin, item, door->fd, EPOLLIN))
        admin_due_at(door->exporter->admin, item, admin_now_ms(door->exporter->admin) + REST_MS);
}

/* ---- opening and closing ---- */

static void look_at_loops(struct admin_item *item)
{
    struct exporter *exporter =
        (struct exporter *) ((char *) item - offsetof(struct exporter, pulse));
    server_moves(exporter->config.server);
    admin_due_at(exporter->admin, item, admin_now_ms(exporter->admin) + PULSE_MS);
}

static void log_listening(const struct exporter *exporter)
{
    for (unsigned i = 0; i < exporter->listeners.count; i++) {
        char text[ADDRESS_TEXT_SIZE];
        const struct address *address = &exporter->listeners.items[i].address;
        address_print(address, text);
        if (address->socket.any.sa_family == AF_UNIX)
            log_tell(exporter->config.log, LOG_METRICS, 0, "%s", text);
        else
            log_tell(exporter->config.log, LOG_METRICS, 0, "http://%s/metrics", text);
    }
}

static void open_doors(struct admin *admin, void *context)
{
    struct exporter *exporter = context;
    exporter->admin = admin;
    exporter->pulse.due = look_at_loops;
    look_at_loops(&exporter->pulse);
    for (unsigned i = 0; i < exporter->listeners.count; i++) {
        struct door *door = &exporter->doors[i];
        *door = (struct door){.item = {.ready = door_ready, .due = door_due},
                              .exporter = exporter,
                              .fd = exporter->listeners.items[i].fd};
        door_due(&door->item);
    }
}

static void close_doors(struct admin *admin, void *context)
{
    struct exporter *exporter = context;
    (void) admin;
    admin_forget(&exporter->pulse);
    for (unsigned i = 0; i < exporter->listeners.count; i++)
        admin_forget(&exporter->doors[i].item);
    for (int i = 0; i < EXPORTER_CONNECTIONS; i++)
        if (exporter->connections[i].phase != FREE)
            end(&exporter->connections[i]);
}

static bool listen_on(struct listeners *listeners, const struct exporter_config *config,
                      struct error *error)
{
    struct error why;
    if (config->address && !listeners_open(listeners, config->address, &why))
        return error_set(error, "--metrics: %s", why.text);
    for (unsigned i = 0; i < config->socket_count; i++)
        if (!listeners_take(listeners, config->sockets[i], error))
            return false;
    return true;
}

static bool start(struct admin *admin, struct exporter *exporter, struct error *error)
{
    exporter->doors = calloc(exporter->listeners.count, sizeof *exporter->doors);
    if (exporter->doors && admin_call(admin, open_doors, exporter))
        return true;
    return error_set(error, "unable to answer at --metrics: %s", strerror(errno));
}

/* Leaves the config's own sockets open. */
static void forget_sockets(struct listeners *listeners)
{
    for (unsigned i = 0; i < listeners->count; i++)
        if (listeners->items[i].is_passed)
            listeners->items[i].fd = -1;
}

struct exporter *exporter_open(struct admin *admin, const struct exporter_config *config,
                               struct error *error)
{
    struct exporter *exporter = calloc(1, sizeof *exporter);
    if (!exporter) {
        error_set(error, "unable to answer at --metrics: %s", strerror(ENOMEM));
        return NULL;
    }
    exporter->config = *config;
    process_figures_begin(&exporter->process);
    if (listen_on(&exporter->listeners, config, error) && start(admin, exporter, error)) {
        log_listening(exporter);
        return exporter;
    }
    forget_sockets(&exporter->listeners);
    listeners_close(&exporter->listeners);
    free(exporter->doors);
    free(exporter);
    return NULL;
}

void exporter_close(struct exporter *exporter)
{
    if (!exporter)
        return;
    admin_call(exporter->admin, close_doors, exporter);
    listeners_close(&exporter->listeners);
    free(exporter->doors);
    free(exporter);
}
