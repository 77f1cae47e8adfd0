/*
 * notify: a socket on which a service manager takes messages about this process, as sd_notify(3)
 * describes it: lines of NAME=VALUE in a datagram.
 */
#ifndef BANTER_SERVER_ADMIN_NOTIFY_H
#define BANTER_SERVER_ADMIN_NOTIFY_H

#include <stdbool.h>

#include "common/address.h"

struct notify {
    int fd;                /* -1: not open */
    struct address socket; /* the manager's */
};

/* `name` is a path, or a name in the abstract namespace behind an @. False if it is neither, or
 * with errno set; then it is not open. */
bool notify_open(struct notify *notify, const char *name);

void notify_close(struct notify *notify);

/* Sends one message; never waits. False if the manager has no room for it now; one that can't be
 * sent at all counts as sent. */
bool notify_send(const struct notify *notify, const char *text);

#endif
