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
 * It touches no signal's mask or disposition, prints nothing, and never ends the process. Several can
 * live in one process.
 */
#ifndef BANTER_SERVER_SERVER_H
#define BANTER_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/error.h"
#include "server/config.h"
#include "server/handler.h"

struct server;

/* banterd's defaults; no address and no handler. */
struct server_config server_defaults(void);

enum server_failure {
    SERVER_BAD_ADDRESS, /* a text is no address, or its host is unknown */
    SERVER_NOT_BOUND,   /* an address can't be listened on */
    SERVER_NOT_OPENED,  /* descriptors or memory are out */
};

/* Binds and listens: when it returns, connects succeed. NULL, with `error` and `*failure` (may be
 * NULL) set, if it can't; then handler and sockets are still the caller's. The config may go when it
 * returns. */
struct server *server_open(const struct server_config *config, enum server_failure *failure,
                           struct error *error);

/* Serves until server_stop(), answers what has been received, and ends all threads. Returns how many of
 * them are left behind in handlers that did not return within the drain's time, or -1 if no thread
 * could be started. Once a server. */
int server_run(struct server *server);

/* Lets server_run() begin to stop. From any thread, from a signal handler, also before server_run(),
 * and more than once. */
void server_stop(struct server *server);

/* Gives everything back, the handler included. If server_run() left threads behind, what they use is
 * leaked, since they may still use it. NULL is left alone. */
void server_close(struct server *server);

/* The addresses it listens on, as bound, in the order of the config; they outlive the stop. */
unsigned server_address_count(const struct server *server);
const struct address *server_address(const struct server *server, unsigned index);

#endif
