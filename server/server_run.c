/* server_run: runs a server, stops it, and takes it apart in the right order. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/buffer_pool.h"
#include "common/clock.h"
#include "common/descriptor.h"
#include "server/deal.h"
#include "server/net/lobby.h"
#include "server/net/tally.h"
#include "server/serve.h"
#include "server/server_nats.h"
#include "server/server_state.h"

/* After the drain's time, to refuse what is owed and close. */
enum { STOP_GRACE_MS = 2 * SESSION_LINGER_MS };

/* ---- running ---- */

/* Without a monitor no loop is taken, nothing goes to the executor, and all loops stay in use. */
static void start_monitor(struct server *server)
{
    const struct monitor_config config = {
        .scaler = &server->scaler,
        .pool = server->pool,
        .executor = server->executor,
        .log = server->shared.log,
        .stall_ms = server_config_of(server)->stall_ms,
    };
    pool_keep(server->pool, SERVER_SPARES * server->scaler.count);
    pool_keep_for_steps(server->pool, server->steps);
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
    if (server_config_of(server)->stall_ms)
        start_monitor(server);
    log_listening(server); /* before the first client is logged */
    server_nats_begin(server);
    for (unsigned i = 0; i < count; i++)
        pool_give_loop(server->loops[i]->owner, server->loops[i], NULL);
    if (server_config_of(server)->ready)
        server_config_of(server)->ready(server_config_of(server)->ready_context);
    return count;
}

static void log_stopped(struct server *server)
{
    if (server->left)
        log_tell(server->shared.log, LOG_LEFT_BEHIND, 0, "%u", server->left);
    log_tell(server->shared.log, LOG_STOPPED, 0, "%llu%c%llu",
             (unsigned long long) server->admission.accepted, LOG_SEPARATOR,
             (unsigned long long) server_count_requests(server));
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
 * all sessions in its inbox, and a loop that has drained gets no more. Services for NATS leave
 * meanwhile, and need the pool for what they have taken. The pool waits for the loops
 * and for calls that run on, which may need the monitor to take their loops; so the monitor goes
 * last. */
static void stop_loops(struct server *server)
{
    struct accepted accepted;
    server_nats_stop(server);
    while (acceptor_last(&server->acceptor, &accepted))
        deal(&server->shared, &accepted, NULL, NULL);
    scaler_freeze(&server->scaler);
    lobby_stop(server->shared.lobby);
    for (unsigned i = 0; i < server->scaler.count; i++)
        shard_stop(&server->shards[i]);
    /* As in the loops, whose time begins now: it stands still if the process does. */
    int64_t until_ms = clock_ms() + server_config_of(server)->drain_timeout_ms;
    server_nats_wait(server, until_ms + STOP_GRACE_MS);
    server->left = pool_stop(server->pool, until_ms, STOP_GRACE_MS);
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
    /* First the handler, and those who give it requests: its threads may still answer, into
     * inboxes. */
    server_nats_end(server);
    if (server_config_of(server)->handler)
        handler_close(server_config_of(server)->handler);
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
    server_nats_free(server);
    pool_free(server->pool);
    lobby_free(server->shared.lobby); /* behind its jobs */
    log_free(server->own_log);
    descriptor_close(&server->stop_fd);
    free(server);
}
