/*
 * nats/wire_state: what the files of a wire share; wire.h is its interface. These files are all
 * that knows the client library.
 */
#ifndef BANTER_SERVER_NATS_WIRE_STATE_H
#define BANTER_SERVER_NATS_WIRE_STATE_H

#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>

#include "server/nats/wire.h"

struct wire_terms {
    natsOptions *plain, *tls; /* of servers in the clear, and of others */
    struct login login;
};

/* What the library's threads use. There as long as they may come: the connection has a reference
 * until it has reported its end, each subscription until its last message was passed on, and the
 * wire. */
struct wire_shared {
    pthread_mutex_t lock;
    struct wire_hearer hearer; /* guarded by it; without an inbox: nobody hears any more */
    struct wire *wire;         /* while somebody does */
    atomic_uint references;
    atomic_bool wants_write;
    bool is_leaving; /* guarded by the lock: the task is on its way, or was */
    struct link_task leaving;
};

struct wire {
    natsConnection *connection;
    struct wire_shared *shared;
    int fd;     /* the library's */
    int own_fd; /* the same socket, for wire_cut() */
    bool is_tls;
    size_t max_payload;
};

struct wire_subscription {
    natsSubscription *subscription;
    struct wire_shared *shared;
    void *subscriber;
    atomic_uint references; /* who has it, and the library */
};

/* ---- wire_terms ---- */

/* What the library says of its last failure in this thread, which was this one. */
const char *wire_last_error(natsStatus status);

/* ---- wire_callbacks ---- */

/* With one reference. NULL: out of memory. */
struct wire_shared *wire_shared_new(void);

/* Takes another reference, and gives one back. */
struct wire_shared *wire_share(struct wire_shared *shared);
void wire_drop(struct wire_shared *shared);

/* Has the library call for this wire what is here. The options are for its connect alone. */
natsStatus wire_set_callbacks(natsOptions *options, struct wire *wire);

/* For a subscription, in the library's thread: passes a message on; the last one was passed on. */
void wire_pass(natsConnection *connection, natsSubscription *handle, natsMsg *message,
               void *subscription);
void wire_completed(void *subscription);

/* Gives a reference to it back. */
void wire_release(struct wire_subscription *subscription);

#endif
