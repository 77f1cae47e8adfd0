/* server: puts the parts together, and takes them apart in the right order. */
#include "server/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/protocol.h"
#include "server/net/acceptor.h"
#include "server/engine/scaler.h"
#include "common/clock.h"
#include "server/engine/pool.h"
#include "server/engine/monitor.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/engine/executor.h"
#include "server/engine/cpus.h"
#include "server/session/session.h"
#include "server/settings.h"

/* How long a handler runs before its loop goes on without it. 0 builds a server without the
 * hand-over, for comparison. */
#ifndef SERVER_STALL_MS
#define SERVER_STALL_MS 1
#endif

enum {
    DEFAULT_MAX_CLIENTS = 10000,
    MAX_STALLED = 512, /* threads beyond one a loop */
    /* the program's own, sessions that are being closed, and some to spare */
    OTHER_DESCRIPTORS = 32,
    /* after the drain's time, to refuse what is owed and close */
    STOP_GRACE_MS = 2 * SESSION_LINGER_MS,
};

struct server {
    struct settings settings;
    struct acceptor acceptor;
    struct loop *loops;
    unsigned loop_count; /* of them run: scaler.count */
    struct scaler scaler;
    unsigned cores;
    bool adapts; /* how many of the loops are in use is found out */
    struct pool *pool;
    struct executor *executor;
    struct monitor *monitor;
    int stop_fd;   /* eventfd */
    unsigned left; /* threads left behind */
};

struct server_config server_defaults(void)
{
    return (struct server_config){
        .codec = FRAME_LINE,
        .max_message = PROTOCOL_DEFAULT_MAX_MESSAGE,
        .request_timeout_ms = 30000,
        .handler_timeout_ms = 30000,
        .write_timeout_ms = 30000,
        .drain_timeout_ms = 5000,
        .stall_ms = SERVER_STALL_MS,
    };
}

/* ---- opening ---- */

static void take_settings(struct server *server, const struct server_config *config)
{
    struct settings *settings = &server->settings;
    *settings = (struct settings){
        .rules = {config->codec, config->max_message, PROTOCOL_QUIT},
        .handler = config->handler,
        .log = config->log,
        .request_timeout_ms = config->request_timeout_ms,
        .handler_timeout_ms = config->handler_timeout_ms,
        .idle_timeout_ms = config->idle_timeout_ms,
        .write_timeout_ms = config->write_timeout_ms,
        .drain_timeout_ms = config->drain_timeout_ms,
        .stall_ms = config->stall_ms,
    };
    snprintf(settings->too_long_text, sizeof settings->too_long_text,
             "a request may have %zu bytes", config->max_message);
    server->cores = cpus_count();
    server->loop_count = config->threads ? config->threads : server->cores;
    server->adapts = !config->threads && config->stall_ms;
}

/* Raises the limit of descriptors as far as needed. Returns how many clients fit. */
static unsigned make_room_for_clients(const struct server *server, unsigned wanted)
{
    rlim_t others = OTHER_DESCRIPTORS + ACCEPTOR_MAX_REFUSED + server->acceptor.listeners.count +
                    2 * (rlim_t) server->loop_count + server->settings.handler->descriptors;
    rlim_t per_client = 1 + (rlim_t) server->settings.handler->descriptors_per_client;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    rlim_t needed = wanted * per_client + others;
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < needed) {
        limit.rlim_cur =
            limit.rlim_max == RLIM_INFINITY || limit.rlim_max > needed ? needed : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= needed)
        return wanted;
    return limit.rlim_cur >= others + per_client
               ? (unsigned) ((limit.rlim_cur - others) / per_client)
               : 1;
}

static bool set_max_clients(struct server *server, unsigned given, enum server_failure *failure,
                            struct error *error)
{
    *failure = SERVER_NOT_OPENED;
    unsigned wanted = given ? given : DEFAULT_MAX_CLIENTS;
    unsigned fit = make_room_for_clients(server, wanted);
    server->acceptor.max_clients = fit;
    if (fit == wanted)
        return true;
    if (given)
        return error_set(
            error,
            "--max-clients: the limit of open files leaves room for %u clients, not %u; raise it "
            "(ulimit -Hn) or ask for fewer",
            fit, given);
    log_tell(server->settings.log, LOG_MAX_CLIENTS_LOWERED, 0,
             "%u instead of %u, since the limit of open files leaves no room for more", fit,
             wanted);
    return true;
}

static bool open_listeners(struct server *server, const struct server_config *config,
                           enum server_failure *failure, struct error *error)
{
    struct listeners *listeners = &server->acceptor.listeners;
    for (unsigned i = 0; i < config->listen_count; i++) {
        *failure = SERVER_BAD_ADDRESS;
        if (!address_check(config->listen[i], ADDRESS_TO_LISTEN, error))
            return false;
        *failure = SERVER_NOT_BOUND;
        if (!listeners_open(listeners, config->listen[i], error))
            return false;
    }
    *failure = SERVER_NOT_BOUND;
    for (unsigned i = 0; i < config->socket_count; i++)
        if (!listeners_take(listeners, config->sockets[i], error))
            return false;
    return true;
}

static bool open_loops(struct server *server, struct error *error)
{
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    server->pool = pool_new(server->loop_count + MAX_STALLED, server->settings.log);
    server->executor = server->pool ? executor_new(server->cores, server->pool) : NULL;
    server->loops = calloc(server->loop_count, sizeof *server->loops);
    if (server->stop_fd < 0 || !server->executor || !server->loops)
        return error_set(error, "unable to open the server: %s", strerror(errno));
    pool_set_offload(server->pool, server->executor);
    for (unsigned i = 0; i < server->loop_count; i++)
        server->loops[i].epoll_fd = server->loops[i].wake_fd = -1;
    for (unsigned i = 0; i < server->loop_count; i++) {
        server->loops[i].scaler = &server->scaler;
        if (!loop_init(&server->loops[i], server, &server->settings))
            return error_set(error, "unable to open a loop: %s", strerror(errno));
    }
    return true;
}

static bool start_accepting(struct server *server, struct error *error)
{
    return acceptor_start(&server->acceptor, &server->loops[0]) ||
           error_set(error, "unable to watch a listener: %s", strerror(errno));
}

static void log_listening(struct server *server)
{
    const struct listeners *listeners = &server->acceptor.listeners;
    for (unsigned i = 0; i < listeners->count; i++)
        log_tell(server->settings.log, LOG_SOCKET_CREATED, 0, "%s", "");
    for (unsigned i = 0; i < listeners->count; i++) {
        char text[ADDRESS_TEXT_SIZE];
        address_print(&listeners->items[i].address, text);
        log_tell(server->settings.log, LOG_LISTENING, 0, "%s", text);
    }
}

/* Leaves the config's own sockets open: on failure they are still the caller's. */
static void forget_sockets(struct server *server, const struct server_config *config)
{
    struct listeners *listeners = &server->acceptor.listeners;
    for (unsigned i = 0; i < listeners->count; i++)
        for (unsigned k = 0; k < config->socket_count; k++)
            if (listeners->items[i].fd == config->sockets[k])
                listeners->items[i].fd = -1;
}

static void resume(void *context)
{
    struct server *server = context;
    for (unsigned i = 0; i < server->scaler.count; i++)
        loop_resume(&server->loops[i]);
}

struct server *server_open(const struct server_config *config, enum server_failure *failure,
                           struct error *error)
{
    enum server_failure ignored;
    if (!failure)
        failure = &ignored;
    *failure = SERVER_NOT_OPENED;
    struct server *server = calloc(1, sizeof *server);
    if (!server) {
        error_set(error, "unable to open the server: %s", strerror(ENOMEM));
        return NULL;
    }
    server->stop_fd = -1;
    take_settings(server, config);
    acceptor_init(&server->acceptor, &server->settings, &server->scaler);
    if (!open_loops(server, error) || !open_listeners(server, config, failure, error) ||
        !set_max_clients(server, config->max_clients, failure, error) ||
        !start_accepting(server, error)) {
        forget_sockets(server, config);
        server->settings.handler = NULL; /* still the caller's */
        server_close(server);
        return NULL;
    }
    config->handler->resume_context = server;
    config->handler->resume = resume;
    log_listening(server);
    return server;
}

/* ---- running ---- */

/* Gives each loop a thread. A loop without one is not used. */
static void start_loops(struct server *server)
{
    unsigned count = 0;
    while (count < server->loop_count &&
           (server->loops[count].owner = pool_get(server->pool, POOL_INTERACTIVE)))
        count++;
    scaler_init(&server->scaler, server->loops, count, server->adapts);
    if (server->settings.stall_ms && count > 0) {
        server->monitor = monitor_start(&server->scaler, server->pool, server->executor,
                                        server->settings.stall_ms, server->settings.log);
        if (!server->monitor) {
            log_tell(server->settings.log, LOG_THREAD_FAILED, 0, "%s", strerror(errno));
            scaler_use(&server->scaler, count);
        }
    }
    for (unsigned i = 0; i < count; i++)
        pool_give(server->loops[i].owner, &server->loops[i], NULL);
}

static void log_stopped(struct server *server)
{
    uint64_t requests = 0;
    if (server->left) {
        log_tell(server->settings.log, LOG_LEFT_BEHIND, 0, "%u", server->left);
    }
    for (unsigned i = 0; i < server->loop_count; i++)
        requests += server->loops[i].requests;
    log_tell(server->settings.log, LOG_STOPPED, 0, "%llu clients, %llu requests",
             (unsigned long long) server->acceptor.accepted, (unsigned long long) requests);
}

static void wait_for_stop(const struct server *server)
{
    eventfd_t stops;
    while (eventfd_read(server->stop_fd, &stops) != 0 && errno == EINTR)
        continue;
}

int server_run(struct server *server)
{
    start_loops(server);
    bool runs = server->scaler.count > 0;
    if (runs) {
        wait_for_stop(server);
        acceptor_stop(&server->acceptor);
    } else {
        listeners_close(&server->acceptor.listeners);
    }
    scaler_freeze(&server->scaler);
    for (unsigned i = 0; i < server->scaler.count; i++)
        loop_post(&server->loops[i], &server->loops[i].stop_node);
    int64_t timeout = server->settings.drain_timeout_ms;
    server->left =
        pool_stop(server->pool, timeout ? clock_ms() + timeout : INT64_MAX, STOP_GRACE_MS);
    monitor_stop(server->monitor);
    log_stopped(server);
    return runs ? (int) server->left : -1;
}

void server_stop(struct server *server)
{
    /* A signal handler may be in here: write(2) and nothing else, and errno as it was. */
    int kept = errno;
    uint64_t one = 1;
    ssize_t written = write(server->stop_fd, &one, sizeof one);
    (void) written; /* it fails only where it was written 2^64-2 times before */
    errno = kept;
}

void server_close(struct server *server)
{
    if (!server || server->left)
        return;
    /* First the handler: its threads may still answer, into the loops' inboxes. */
    if (server->settings.handler)
        handler_close(server->settings.handler);
    acceptor_fini(&server->acceptor);
    monitor_free(server->monitor);
    for (unsigned i = 0; server->loops && i < server->loop_count; i++)
        loop_fini(&server->loops[i]);
    free(server->loops);
    executor_free(server->executor);
    pool_free(server->pool);
    if (server->stop_fd >= 0)
        close(server->stop_fd);
    free(server);
}

unsigned server_address_count(const struct server *server)
{
    return server->acceptor.listeners.count;
}

const struct address *server_address(const struct server *server, unsigned index)
{
    return &server->acceptor.listeners.items[index].address;
}

void server_client_left(struct server *server) { atomic_fetch_sub(&server->acceptor.clients, 1); }

void server_refused_left(struct server *server) { atomic_fetch_sub(&server->acceptor.refused, 1); }
