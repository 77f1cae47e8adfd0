/*
 * exporter: answers `GET /metrics` and `GET /health` over HTTP, on the admin's thread.
 *
 * Whoever can connect may ask, and nothing of a client is shown. A connection is for one request,
 * whose head has 4096 bytes and five seconds at most; then it is closed. At most eight are open:
 * when another one comes, the oldest of them makes room, so that those that never ask, or never
 * read, keep nobody out.
 */
#ifndef BANTER_SERVER_ADMIN_EXPORTER_H
#define BANTER_SERVER_ADMIN_EXPORTER_H

#include <stdbool.h>

#include "common/error.h"
#include "common/frame.h"

struct admin;
struct exporter;
struct handler;
struct log;
struct reloading;
struct server;

/* That an exporter may have open at a time, beside its listeners. */
enum { EXPORTER_CONNECTIONS = 8, EXPORTER_DESCRIPTORS = EXPORTER_CONNECTIONS + 2 };

/* All that is pointed to outlives the exporter. */
struct exporter_config {
    const char *address; /* to listen on, as a text of common/address.h; NULL: none */
    /* and stream sockets that are bound already: it listens on them and owns them */
    const int *sockets;
    unsigned socket_count;
    struct server *server;
    struct handler *handler; /* that the server asks */
    enum frame_codec framing;
    const struct reloading *reloading; /* NULL: no files are read anew */
    struct log *log;
    /* Whether the server was told to stop. Called in the admin's thread: must not block. */
    bool (*is_stopping)(void *context);
    void *context;
};

/* Listens, says so in the log, and lets the admin's thread answer. NULL, with `error` set, if it
 * can't; then the sockets are still the caller's. The config may go when it returns. */
struct exporter *exporter_open(struct admin *admin, const struct exporter_config *config,
                               struct error *error);

/* Closes its listeners and connections. In the thread that has opened it, before the server is
 * closed. NULL is left alone. */
void exporter_close(struct exporter *exporter);

#endif
