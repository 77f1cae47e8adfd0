/* server_open: makes the parts of a server, and joins them. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/buffer_pool.h"
#include "common/protocol.h"
#include "server/deal.h"
#include "server/engine/cpus.h"
#include "server/engine/job.h"
#include "server/net/access.h"
#include "server/net/lobby.h"
#include "server/net/tally.h"
#include "server/serve.h"
#include "server/server_nats.h"
#include "server/server_state.h"
#include "server/session/dispatch.h"
#include "server/session/turn.h"

/* How long a handler runs before its loop goes on without it. 0 builds a server without the
 * hand-over, for comparison. */
#ifndef SERVER_STALL_MS
#define SERVER_STALL_MS 1
#endif

enum {
    DEFAULT_MAX_CLIENTS = 10000,
    MAX_CALLS = 640, /* at a time that need a thread beside the loops */
    /* the program's own, and some to spare */
    OTHER_DESCRIPTORS = 32,
    SERVICE_DESCRIPTORS = 12, /* of one for NATS, at most */
    /* for sessions that are being closed, if the hard limit has them; clients come first */
    LINGERING_DESCRIPTORS = 1024,
    /* of --max-memory, at most, is kept of large buffers for the next ones; and so much */
    KEPT_SHARE = 8,
    KEPT_BYTES = 32 << 20,
};

struct server_config server_defaults(void)
{
    return (struct server_config){
        .codec = FRAME_LINE,
        .max_message = PROTOCOL_DEFAULT_MAX_MESSAGE,
        .handshake_timeout_ms = 10000,
        .request_timeout_ms = 30000,
        .handler_timeout_ms = 30000,
        .write_timeout_ms = 30000,
        .drain_timeout_ms = 5000,
        .stall_ms = SERVER_STALL_MS,
    };
}

/* A quarter of the machine's memory, or what the largest requests need. */
static size_t default_max_memory(size_t max_message)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    size_t quarter = pages > 0 && page_bytes > 0 ? (size_t) pages / 4 * (size_t) page_bytes : 0;
    size_t least = SERVER_LEAST_MESSAGES * max_message;
    return quarter > least ? quarter : least;
}

static void take_config(struct server *server, const struct server_config *config)
{
    struct settings *settings = &server->shared.settings;
    assert(config->max_requests <= SERVER_MAX_REQUESTS);
    settings->config = *config;
    settings->rules = (struct frame_rules){frame_codec_of_requests(config->codec),
                                           config->max_message, PROTOCOL_QUIT};
    snprintf(settings->too_long_text, sizeof settings->too_long_text,
             "a request may have %zu bytes", config->max_message);
    server->cores = cpus_count();
    server->steps = config->tls ? server->cores : 0;
    server->shard_count = config->threads ? config->threads : server->cores;
    server->adapts = !config->threads && config->stall_ms;
    server->shared.admission = &server->admission;
    server->shared.acceptor = &server->acceptor;
    server->shared.scaler = &server->scaler;
    server->shared.asker = &turn_asker;
    server->shared.memory = &server->memory;
    memory_init(&server->memory,
                config->max_memory ? config->max_memory : default_max_memory(config->max_message),
                config->max_message, server->shard_count);
}

/* So that everything below has a log, and events are counted even if nobody reads about them. */
static bool take_log(struct server *server, const struct server_config *config, struct error *error)
{
    if (!config->log)
        server->own_log = log_open(-1, LOG_SILENT, (struct log_style){0}, error);
    server->shared.log = config->log ? config->log : server->own_log;
    server->acceptor.log = server->shared.log;
    return server->shared.log;
}

/* Raises the limit of descriptors as far as needed. Returns how many sockets of sessions fit. */
static unsigned make_room_for_sockets(const struct server *server, unsigned wanted)
{
    const struct handler *handler = server_config_of(server)->handler;
    const struct server_nats *nats = server_config_of(server)->nats;
    rlim_t services = nats ? nats->count : 0;
    rlim_t others = OTHER_DESCRIPTORS + ADMISSION_MAX_REFUSED + server->acceptor.listeners.count +
                    2 * (rlim_t) server->shard_count + handler->descriptors +
                    server_config_of(server)->other_descriptors + SERVICE_DESCRIPTORS * services;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted + LINGERING_DESCRIPTORS;
    rlim_t needed = wanted + others + LINGERING_DESCRIPTORS;
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < needed) {
        limit.rlim_cur =
            limit.rlim_max == RLIM_INFINITY || limit.rlim_max > needed ? needed : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= needed)
        return wanted + LINGERING_DESCRIPTORS;
    return limit.rlim_cur > others ? (unsigned) (limit.rlim_cur - others) : 1;
}

static bool set_max_clients(struct server *server, unsigned given, enum server_failure *failure,
                            struct error *error)
{
    *failure = SERVER_NOT_OPENED;
    unsigned wanted = given ? given : DEFAULT_MAX_CLIENTS;
    unsigned sockets = make_room_for_sockets(server, wanted);
    unsigned fit = sockets < wanted ? sockets : wanted;
    server->admission.max_clients = fit;
    server->admission.max_sockets = sockets;
    if (fit == wanted)
        return true;
    if (given)
        return error_set(
            error,
            "--max-clients: the limit of open files leaves room for %u clients, not %u; raise it "
            "(ulimit -Hn) or ask for fewer",
            fit, given);
    log_tell(server->shared.log, LOG_MAX_CLIENTS_LOWERED, 0, "%u%c%u", fit, LOG_SEPARATOR, wanted);
    return true;
}

static bool open_listeners(struct server *server, const struct server_config *config,
                           enum server_failure *failure, struct error *error)
{
    struct listeners *listeners = &server->acceptor.listeners;
    listeners->permissions = config->socket_permissions;
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
        if (listeners_take(listeners, config->sockets[i], error))
            listeners->items[listeners->count - 1].is_tls =
                config->socket_is_tls && config->socket_is_tls[i];
        else
            return false;
    return true;
}

/* Before its parts are made, so that the parts that are not can be given back. */
static bool allocate_shards(struct server *server)
{
    server->shards = calloc(server->shard_count, sizeof *server->shards);
    server->loops = calloc(server->shard_count, sizeof *server->loops);
    server->shared.shards = server->shards;
    if (!server->shards || !server->loops)
        return false;
    for (unsigned i = 0; i < server->shard_count; i++) {
        server->loops[i] = &server->shards[i].loop;
        server->loops[i]->epoll_fd = server->loops[i]->wake_fd = -1;
    }
    return true;
}

static bool open_engine(struct server *server, struct error *error)
{
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    server->pool = pool_new((1 + SERVER_SPARES) * server->shard_count + server->steps + MAX_CALLS,
                            &serve_pool_ops, server->shared.log);
    server->executor =
        server->pool ? executor_new(server->cores, server->pool, &dispatch_job_ops) : NULL;
    if (server->stop_fd < 0 || !server->executor || !allocate_shards(server))
        return error_set(error, "unable to open the server: %s", strerror(errno));
    for (unsigned i = 0; i < server->shard_count; i++)
        if (!shard_init(&server->shards[i], &server->shared))
            return error_set(error, "unable to open a loop: %s", strerror(errno));
    return true;
}

static bool limit_addresses(struct server *server, unsigned most, struct error *error)
{
    if (most == 0)
        return true;
    server->shared.tally = tally_new(server->admission.max_clients, most);
    return server->shared.tally ||
           error_set(error, "unable to count clients: %s", strerror(ENOMEM));
}

/* What the lobby's thread does. */
static void admit(void *context, const struct accepted *accepted)
{
    const struct shared *shared = context;
    if (!deal(shared, accepted, NULL, NULL))
        log_tell(shared->log, LOG_BROKEN, 0, "%s", "out of memory");
}

static void submit(void *context, struct job *job)
{
    const struct shared *shared = context;
    if (!shared->executor) /* a server without a monitor: it has no other thread for it */
        job->ops->run(job);
    else if (executor_submit(shared->executor, job) &&
             !executor_dispatch(shared->executor, shared->scaler->count))
        monitor_wake(shared->monitor);
}

static bool open_lobby(struct server *server, struct error *error)
{
    const struct lobby_config config = {
        .listeners = &server->acceptor.listeners,
        .admission = &server->admission,
        .tally = server->shared.tally,
        .log = server->shared.log,
        .timeout_ms = server_config_of(server)->handshake_timeout_ms,
        .admit = admit,
        .submit = submit,
        .steps = server->steps,
        .access = server_config_of(server)->access,
        .tls = server_config_of(server)->tls,
        .context = &server->shared,
    };
    if (!access_has_proxies(server_config_of(server)->access) && !server_config_of(server)->tls)
        return true;
    server->shared.lobby = lobby_new(&config);
    return server->shared.lobby ||
           error_set(error, "unable to open the lobby: %s", strerror(errno));
}

static bool start_accepting(struct server *server, struct error *error)
{
    return acceptor_start(&server->acceptor, server->loops[0]) ||
           error_set(error, "unable to watch a listener: %s", strerror(errno));
}

/* Lets large buffers be kept for a while, as long as memory is not short: what is left of
 * --max-memory until it is is no less than what is kept. A server that can't works all the same. */
static void keep_buffers(struct server *server)
{
    size_t share = server->memory.bound / KEPT_SHARE;
    server->keeps_buffers =
        buffer_pool_open(share < KEPT_BYTES ? share : KEPT_BYTES, &server->memory.level);
    if (server->keeps_buffers && !loop_watch(server->loops[0], EPOLL_CTL_ADD,
                                             buffer_pool_timer_fd(), EPOLLIN, LOOP_POOL, NULL)) {
        buffer_pool_close();
        server->keeps_buffers = false;
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
        shard_resume(&server->shards[i]);
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
    take_config(server, config);
    acceptor_init(&server->acceptor);
    if (!take_log(server, config, error) || !open_engine(server, error) ||
        !open_listeners(server, config, failure, error) ||
        !set_max_clients(server, config->max_clients, failure, error) ||
        !limit_addresses(server, config->max_per_address, error) || !open_lobby(server, error) ||
        !start_accepting(server, error) || !server_nats_open(server, error)) {
        forget_sockets(server, config);
        server->shared.settings.config.handler = NULL; /* still the caller's */
        server_close(server);
        return NULL;
    }
    keep_buffers(server);
    config->handler->resume_context = server;
    config->handler->resume = resume;
    return server;
}
