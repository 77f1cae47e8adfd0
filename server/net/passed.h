/*
 * passed: the sockets that a service manager, such as systemd, has opened before it started this
 * process: LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES, as sd_listen_fds(3) has them.
 *
 * Reads the environment and looks at the sockets; who listens on them is told elsewhere. Only while
 * there is one thread.
 */
#ifndef BANTER_SERVER_NET_PASSED_H
#define BANTER_SERVER_NET_PASSED_H

#include <stdbool.h>

#include "common/error.h"
#include "server/net/listener.h"

struct passed_sockets {
    int fds[LISTENERS_MAX];
    bool is_tls[LISTENERS_MAX];
    unsigned count;
};

/* By what their names say they are for. */
struct passed {
    struct passed_sockets clients; /* of any other name, or of none; for TLS: "tls..." */
    struct passed_sockets control; /* "control" */
    struct passed_sockets metrics; /* "metrics" */
};

/* Takes what was passed to this process, if anything was, and removes the variables, so that no
 * other process takes it for its own. Each is a stream socket that listens and is closed on exec.
 * False, with `error` set, if one of them is not, or a name asks for what there is not. Before any
 * other descriptor is opened. */
bool passed_take(struct passed *passed, struct error *error);

/* Whether one of them is for clients that speak TLS. */
bool passed_has_tls(const struct passed *passed);

/* Whether there is any socket. */
bool passed_any(const struct passed *passed);

#endif
