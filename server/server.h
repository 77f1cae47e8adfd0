/*
 * server: the whole server as an object that a program can embed: open, run, stop, close.
 *
 *     struct handler handler;
 *     struct handler_spec spec;
 *     struct handler_host host = {.cores = 1};
 *     handler_parse(&spec, "hello", &error) && handler_open(&handler, &spec, &host, &error);
 *     struct server_config config = server_defaults();
 *     config.listen = (const char *const[]){"127.0.0.1:0"};
 *     config.listen_count = 1;
 *     config.handler = &handler;
 *     struct server *server = server_open(&config, NULL, &error);
 *     server_run(server);      in a thread of the caller's choice, until server_stop()
 *     server_close(server);
 *
 * It touches no signal's mask or disposition, prints nothing, and never ends the process. Several
 * can live in one process.
 */
#ifndef BANTER_SERVER_SERVER_H
#define BANTER_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/error.h"
#include "common/latency.h"
#include "common/protocol.h"
#include "server/config.h"
#include "server/handler.h"
#include "server/log/events.h"
#include "server/nats/serving.h"
#include "server/net/lobby_config.h"
#include "server/session/inquiry.h"

struct server;

/* banterd's defaults; no address and no handler. */
struct server_config server_defaults(void);

enum server_failure {
    SERVER_BAD_ADDRESS, /* a text is no address, or its host is unknown */
    SERVER_NOT_BOUND,   /* an address can't be listened on */
    SERVER_NOT_OPENED,  /* descriptors or memory are out */
};

/* Binds and listens: when it returns, connects succeed. NULL, with `error` and `*failure` (may be
 * NULL) set, if it can't; then handler and sockets are still the caller's. The config may go when
 * it returns. */
struct server *server_open(const struct server_config *config, enum server_failure *failure,
                           struct error *error);

/* Serves until server_stop(), answers what has been received, and ends all threads. Returns how
 * many of them are left behind in handlers that did not return within the drain's time, or -1, with
 * errno set, if no thread could be started: then it has not said that it listens. Once a server. */
int server_run(struct server *server);

/* Lets server_run() begin to stop. From any thread, from a signal handler, also before
 * server_run(), and more than once. */
void server_stop(struct server *server);

/* Gives everything back, the handler included. If server_run() left threads behind, what they use
 * is leaked, since they may still use it. NULL is left alone. */
void server_close(struct server *server);

/* What a server has done so far, and does now. */
struct server_stats {
    uint64_t sessions; /* clients so far */
    uint64_t requests; /* taken so far; those that are too long count, and the quit word does not */
    uint64_t bytes_received, bytes_sent;
    /* replies that are errors, and what is said unasked, by enum protocol_code */
    uint64_t errors[PROTOCOL_CODES];
    uint64_t events[LOG_EVENTS];     /* what was logged, or would have been, by enum log_event */
    uint64_t handovers;              /* loops that were taken from a handler that took long */
    uint64_t moves;                  /* sessions that went to another loop */
    uint64_t jobs;                   /* requests given to the executor */
    uint64_t batches;                /* of events, that the loops have worked off */
    uint64_t accept_rests;           /* for want of descriptors or memory */
    uint64_t memory_held;            /* bytes that clients make it hold now; some too few or many */
    uint64_t log_lines, log_dropped; /* lines written, and lines for which there was no room */
    struct lobby_figures lobby;
    unsigned clients;     /* connected now */
    unsigned max_clients; /* that may be connected at a time */
    unsigned refused;     /* being refused now */
    unsigned computing;   /* requests that compute outside of the loops now */
    unsigned calling;     /* requests that run outside of the loops, those included */
    unsigned waiting;     /* requests that wait for a thread outside of the loops */
    unsigned threads;     /* of the pool: loops' owners, in handlers, spares */
    unsigned loops, loops_in_use;
};

/* Sums without a lock. From any thread, from server_open() until server_close(). What goes on
 * meanwhile may be in one number and not yet in another; what is counted "so far" never goes down.
 */
void server_stats(const struct server *server, struct server_stats *stats);

/* How long requests took so far: from the report of the kernel until the replies of that batch are
 * sent, if they were answered at once; else from then until their replies are framed. What is
 * refused before it is a request, or gets no reply, is not among them. As server_stats(). */
enum server_answered { SERVER_ANSWERED_AT_ONCE, SERVER_ANSWERED_LATE, SERVER_ANSWERED };
void server_latency(const struct server *server, enum server_answered how, struct latency *latency);

/* How long the handshakes of TLS took that went well, from what the client said first. As above. */
void server_handshake_latency(const struct server *server, struct latency *latency);

/* Until when the certificate for TLS is good, in seconds since 1970; 0: there is none. As above. */
int64_t server_certificate_end_s(const struct server *server);

/* Whether every loop goes on: each is woken, and has two seconds to move. Calls of handlers don't
 * stop a loop as long as there are threads. A call sees what came of the one before, so ask every
 * second or so. By one thread at a time, from server_open() until server_close(). */
bool server_moves(struct server *server);

/* What a loop does. */
struct server_loop_stats {
    bool in_use;       /* new sessions are assigned to it */
    unsigned sessions; /* that are in it now */
    uint64_t requests; /* as in server_stats */
};

/* Of the loop with this index, below server_stats.loops. As server_stats(). */
void server_loop_stats(const struct server *server, unsigned index,
                       struct server_loop_stats *stats);

/* Asks all loops about their sessions (server/session/inquiry.h). From any thread, from
 * server_open() until server_close(), by when the inquiry was let go of. NULL, with errno set, if
 * memory or descriptors are out. */
struct inquiry *server_inquire(const struct server *server, enum inquiry_kind kind,
                               uint64_t session);

/* The subjects of NATS that it serves, and what it does for one of them. As server_stats(). */
unsigned server_service_count(const struct server *server);
void server_service_figures(const struct server *server, unsigned index,
                            struct nats_service_figures *figures);

/* The addresses it listens on, as bound, in the order of the config; they outlive the stop. */
unsigned server_address_count(const struct server *server);
const struct address *server_address(const struct server *server, unsigned index);

#endif
