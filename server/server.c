/* server: puts the parts together, and takes them apart in the right order. */
#include "server/server.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/buffer_pool.h"
#include "common/clock.h"
#include "common/descriptor.h"
#include "common/protocol.h"
#include "server/engine/cpus.h"
#include "server/engine/executor.h"
#include "server/engine/job.h"
#include "server/engine/monitor.h"
#include "server/engine/pool.h"
#include "server/engine/scaler.h"
#include "server/log/log.h"
#include "server/net/acceptor.h"
#include "server/net/access.h"
#include "server/net/admission.h"
#include "server/net/lobby.h"
#include "server/net/tally.h"
#include "server/deal.h"
#include "server/serve.h"
#include "server/session/dispatch.h"
#include "server/session/shard.h"
#include "server/session/turn.h"

/* How long a handler runs before its loop goes on without it. 0 builds a server without the
 * hand-over, for comparison. */
#ifndef SERVER_STALL_MS
#define SERVER_STALL_MS 1
#endif

enum {
    DEFAULT_MAX_CLIENTS = 10000,
    MAX_CALLS = 640, /* at a time that need a thread beside the loops */
    SPARES = 2,      /* for each loop, kept for the hand-over */
    /* the program's own, and some to spare */
    OTHER_DESCRIPTORS = 32,
    /* for sessions that are being closed, if the hard limit has them; clients come first */
    LINGERING_DESCRIPTORS = 1024,
    /* of --max-memory, at most, is kept of large buffers for the next ones; and so much */
    KEPT_SHARE = 8,
    KEPT_BYTES = 32 << 20,
    /* after the drain's time, to refuse what is owed and close */
    STOP_GRACE_MS = 2 * SESSION_LINGER_MS,
};

struct server {
    struct shared shared;
    struct memory memory;
    struct acceptor acceptor;
    struct admission admission;
    struct scaler scaler;
    struct shard *shards;
    struct loop **loops;  /* of the shards, for the scaler and the monitor */
    unsigned shard_count; /* of them run: scaler.count */
    unsigned cores;
    bool keeps_buffers; /* the pool of large buffers is this server's */
    bool adapts;        /* how many of the loops are in use is found out */
    struct pool *pool;
    struct executor *executor;
    _Atomic(struct monitor *) monitor; /* NULL before it runs, or if there is none */
    /* of a server that was given none: it only counts. NULL: the log is the caller's */
    struct log *own_log;
    int stop_fd;   /* eventfd */
    unsigned left; /* threads left behind */
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

/* ---- opening ---- */

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

static const struct server_config *config_of(const struct server *server)
{
    return &server->shared.settings.config;
}

/* Raises the limit of descriptors as far as needed. Returns how many sockets of sessions fit. */
static unsigned make_room_for_sockets(const struct server *server, unsigned wanted)
{
    const struct handler *handler = config_of(server)->handler;
    rlim_t others = OTHER_DESCRIPTORS + ADMISSION_MAX_REFUSED + server->acceptor.listeners.count +
                    2 * (rlim_t) server->shard_count + handler->descriptors +
                    config_of(server)->other_descriptors;
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
    server->pool = pool_new((1 + SPARES) * server->shard_count + MAX_CALLS, &serve_pool_ops,
                            server->shared.log);
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
    else if (executor_submit(shared->executor, job))
        monitor_wake(shared->monitor);
}

static bool open_lobby(struct server *server, struct error *error)
{
    const struct lobby_config config = {
        .listeners = &server->acceptor.listeners,
        .admission = &server->admission,
        .log = server->shared.log,
        .timeout_ms = config_of(server)->handshake_timeout_ms,
        .admit = admit,
        .submit = submit,
        .steps = server->cores,
        .access = config_of(server)->access,
        .tls = config_of(server)->tls,
        .context = &server->shared,
    };
    if (!access_has_proxies(config_of(server)->access) && !config_of(server)->tls)
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
        !start_accepting(server, error)) {
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

/* ---- running ---- */

/* Without a monitor no loop is taken, nothing goes to the executor, and all loops stay in use. */
static void start_monitor(struct server *server)
{
    const struct monitor_config config = {
        .scaler = &server->scaler,
        .pool = server->pool,
        .executor = server->executor,
        .log = server->shared.log,
        .stall_ms = config_of(server)->stall_ms,
    };
    pool_keep(server->pool, SPARES * server->scaler.count);
    server->monitor = monitor_start(&config);
    if (!server->monitor) {
        log_tell(server->shared.log, LOG_THREAD_FAILED, 0, "%s", strerror(errno));
        scaler_use(&server->scaler, server->scaler.count);
        return;
    }
    server->shared.monitor = server->monitor;
    server->shared.executor = server->executor;
}

static void log_listening(struct server *server)
{
    const struct listeners *listeners = &server->acceptor.listeners;
    for (unsigned i = 0; i < listeners->count; i++)
        log_tell(server->shared.log, LOG_SOCKET_CREATED, 0, "%s", "");
    for (unsigned i = 0; i < listeners->count; i++) {
        char text[ADDRESS_TEXT_SIZE];
        address_print(&listeners->items[i].address, text);
        log_tell(server->shared.log, LOG_LISTENING, 0, "%s%s",
                 listeners->items[i].is_tls ? "tls:" : "", text);
    }
}

/* False with errno set. */
static bool start_lobby(struct server *server)
{
    int failure = server->shared.lobby ? lobby_start(server->shared.lobby) : 0;
    errno = failure ? failure : errno;
    return failure == 0;
}

/* Gives each loop a thread. A loop without one is not used. Returns how many are, or 0 with errno
 * set. */
static unsigned start_loops(struct server *server)
{
    unsigned count = 0;
    if (!start_lobby(server))
        return 0;
    while (count < server->shard_count &&
           (server->loops[count]->owner = pool_get(server->pool, POOL_LOOP)))
        count++;
    scaler_init(&server->scaler, server->loops, count, server->adapts);
    if (count == 0)
        return 0;
    if (config_of(server)->stall_ms)
        start_monitor(server);
    log_listening(server); /* before the first client is logged */
    for (unsigned i = 0; i < count; i++)
        pool_give_loop(server->loops[i]->owner, server->loops[i], NULL);
    if (config_of(server)->ready)
        config_of(server)->ready(config_of(server)->ready_context);
    return count;
}

static uint64_t count_requests(const struct server *server)
{
    uint64_t requests = 0;
    for (unsigned i = 0; i < server->shard_count; i++)
        requests += counter_get(&server->loops[i]->served);
    return requests;
}

static void log_stopped(struct server *server)
{
    if (server->left)
        log_tell(server->shared.log, LOG_LEFT_BEHIND, 0, "%u", server->left);
    log_tell(server->shared.log, LOG_STOPPED, 0, "%llu%c%llu",
             (unsigned long long) server->admission.accepted, LOG_SEPARATOR,
             (unsigned long long) count_requests(server));
}

static void wait_for_stop(const struct server *server)
{
    eventfd_t stops;
    while (eventfd_read(server->stop_fd, &stops) != 0 && errno == EINTR)
        continue;
}

/* The order is what makes the stop lose nobody. First the last connections are dealt to shards, and
 * nobody accepts any more. Then the scaler freezes: no session, accepted or moving, is on its way
 * to another loop's inbox behind that, and nobody enters the lobby, which deals what it has to
 * shards. Only then is each loop told to stop: the node comes behind
 * all sessions in its inbox, and a loop that has drained gets no more. The pool waits for the loops
 * and for calls that run on, which may need the monitor to take their loops; so the monitor goes
 * last. */
static void stop_loops(struct server *server)
{
    struct accepted accepted;
    while (acceptor_last(&server->acceptor, &accepted))
        deal(&server->shared, &accepted, NULL, NULL);
    scaler_freeze(&server->scaler);
    lobby_stop(server->shared.lobby);
    for (unsigned i = 0; i < server->scaler.count; i++)
        shard_stop(&server->shards[i]);
    server->left =
        pool_stop(server->pool, clock_ms() + config_of(server)->drain_timeout_ms, STOP_GRACE_MS);
    monitor_stop(server->monitor);
}

int server_run(struct server *server)
{
    if (start_loops(server) == 0) {
        int why = errno;
        listeners_close(&server->acceptor.listeners);
        errno = why;
        return -1;
    }
    wait_for_stop(server);
    stop_loops(server);
    log_stopped(server);
    return (int) server->left;
}

void server_stop(struct server *server)
{
    /* A signal handler may be in here: write(2) and nothing else, and errno as it was. */
    int kept = errno;
    uint64_t one = 1;
    ssize_t written = write(server->stop_fd, &one, sizeof one);
    (void) written; /* it fails only if it was written 2^64-2 times before */
    errno = kept;
}

void server_close(struct server *server)
{
    if (!server || server->left)
        return;
    /* First the handler: its threads may still answer, into the loops' inboxes. */
    if (config_of(server)->handler)
        handler_close(config_of(server)->handler);
    for (unsigned i = 0; server->shards && server->loops && i < server->shard_count; i++) {
        serve_discard(&server->shards[i]);
        shard_fini(&server->shards[i]);
    }
    if (server->keeps_buffers)
        buffer_pool_close();
    monitor_free(server->monitor);
    acceptor_fini(&server->acceptor);
    tally_free(server->shared.tally);
    free(server->loops);
    free(server->shards);
    executor_free(server->executor);
    pool_free(server->pool);
    lobby_free(server->shared.lobby); /* behind its jobs */
    log_free(server->own_log);
    descriptor_close(&server->stop_fd);
    free(server);
}

void server_stats(const struct server *server, struct server_stats *stats)
{
    *stats = (struct server_stats){
        .sessions = atomic_load(&server->admission.accepted),
        .requests = count_requests(server),
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
    for (int event = 0; event < LOG_EVENTS; event++)
        stats->events[event] = log_count(server->shared.log, (enum log_event) event);
    /* Said by whoever accepts, which at the stop is no owner of a shard. */
    stats->errors[PROTOCOL_CODE_BUSY] += stats->events[LOG_BUSY] + stats->events[LOG_ADDRESS_BUSY];
    stats->errors[PROTOCOL_CODE_DENIED] += stats->events[LOG_DENIED];
    stats->errors[PROTOCOL_CODE_TLS_REQUIRED] += lobby_refused_plain(server->shared.lobby);
}

void server_latency(const struct server *server, enum server_answered how, struct latency *latency)
{
    *latency = (struct latency){0};
    for (unsigned i = 0; i < server->shard_count; i++) {
        const struct counters *counters = &server->shards[i].counters;
        latency_sum(latency, how == SERVER_ANSWERED_AT_ONCE ? &counters->latency_at_once
                                                            : &counters->latency_late);
    }
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
