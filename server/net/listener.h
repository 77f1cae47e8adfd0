/*
 * listener: a socket that accepts, and what was bound for it.
 */
#ifndef BANTER_SERVER_NET_LISTENER_H
#define BANTER_SERVER_NET_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/address.h"
#include "common/error.h"

struct listener {
    int fd;
    bool is_passed;         /* it was bound by somebody else, who may have it, too */
    bool is_tls;            /* its clients speak TLS */
    struct address address; /* as bound */
    dev_t device;           /* Unix: of the path, so that only our own is removed */
    ino_t inode;
};

enum {
    LISTENERS_MAX = 64,
    LISTENER_OF_ANY = LISTENERS_MAX, /* in the place of a listener: see net/peer.h */
};

/* All zero is empty. */
struct listeners {
    /* of the Unix paths that are opened; NULL: those that the umask leaves. Not owned */
    const struct address_permissions *permissions;
    struct listener items[LISTENERS_MAX + 1]; /* the last one is none, and of no family */
    unsigned count;
};

/* Listens on all addresses of a text (see common/address.h), all on the same port if that is 0;
 * for clients that speak TLS if it begins so.
 * On failure nothing of it is left open. */
bool listeners_open(struct listeners *listeners, const char *text, struct error *error);

/* Listens on a socket that is bound, and takes it over (on failure it stays the caller's). */
bool listeners_take(struct listeners *listeners, int fd, struct error *error);

/* Nobody can connect any more, as if nobody listened: who waits by now can be accepted, and nobody
 * comes behind. Connects to a port find no answer until the listener is closed, and try again. */
void listener_refuse(const struct listener *listener);

/* Closes all, and removes their Unix paths. The addresses stay readable. */
void listeners_close(struct listeners *listeners);

#endif
