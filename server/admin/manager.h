/*
 * manager: what a service manager, such as systemd, is told of the server, as sd_notify(3) and
 * sd_watchdog_enabled(3) have it: that it can answer, reads files anew or stops, a line about what
 * it does, that it needs more time to start or to stop, and, again and again, that it goes on.
 *
 * A manager that does not read holds up nobody: what matters is said later.
 */
#ifndef BANTER_SERVER_ADMIN_MANAGER_H
#define BANTER_SERVER_ADMIN_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/admin/notify.h"

struct admin;
struct manager;
struct reload_outcome;
struct server;

/* What a manager has said to the process. */
struct manager_terms {
    struct notify notify;
    uint64_t watchdog_us; /* how often it wants to hear that the server goes on; 0: never */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and removes them, so that no program behind
 * the server speaks in its place. While there is one thread. */
struct manager_terms manager_read_terms(void);

/* ---- in the thread that opens it; a `manager` may be NULL: there is none ---- */

/* From here on the server starts. Takes over what the terms have open. `stop_fd` is readable, for
 * good, once it is to stop. NULL if there is no manager, or memory is out. */
struct manager *manager_open(struct admin *admin, const struct manager_terms *terms, int stop_fd);

/* Which server it is about; NULL before it is closed. */
void manager_watch(struct manager *manager, struct server *server);

/* A struct manager: its server can answer. */
void manager_ready(void *context);

void manager_close(struct manager *manager);

/* ---- in the admin's thread ---- */

/* Files are about to be read anew; they were, or could not be. */
void manager_reloading(struct manager *manager);
void manager_reloaded(struct manager *manager, const struct reload_outcome *outcome);

#endif
