/*
 * control: the control socket. It speaks banter's line protocol: each line is a command
 * (server/admin/command.h) and is answered with a line, in the admin's thread. Its connections are
 * no clients of the server, and are in none of its counts.
 *
 * Only root and the user that the server runs as may use it. There are CONTROL_CONNECTIONS at most:
 * for one more, the one that has been silent for longest is closed.
 */
#ifndef BANTER_SERVER_ADMIN_CONTROL_H
#define BANTER_SERVER_ADMIN_CONTROL_H

#include <stdbool.h>

#include "common/error.h"
#include "server/admin/admin.h"
#include "server/admin/status.h"
#include "server/log/log.h"

enum {
    CONTROL_CONNECTIONS = 16,
    /* that it may open: each connection may ask the loops, and one more may be refused */
    CONTROL_DESCRIPTORS = 2 * CONTROL_CONNECTIONS + 2,
};

struct control;
struct reloading;

struct control_config {
    const char *address; /* unix:PATH, whose mode becomes 0600; NULL: none */
    const int *sockets;  /* and sockets that are bound already, which it owns */
    unsigned socket_count;
    /* What it acts on; all of it outlives the control socket. */
    struct status_source source;
    struct reloading *reloading;
    struct log *log;
    void (*stop)(void *context); /* lets the process stop in order; returns at once */
    void *stop_context;
};

/* Whether a text may be its address: unix:PATH. False with `error` set. */
bool control_check_address(const char *address, struct error *error);

/* Listens. NULL, with `error` set, if it can't; some of the sockets may be closed then. The config
 * may go when it returns. Not in the admin's thread. */
struct control *control_open(struct admin *admin, const struct control_config *config,
                             struct error *error);

/* Closes it with all of its connections, which are told that the server stops. Not in the admin's
 * thread. NULL is left alone. */
void control_close(struct control *control);

#endif
