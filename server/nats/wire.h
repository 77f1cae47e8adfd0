/*
 * nats/wire: one connection to one server of NATS, from its connect to its end; when it is lost,
 * that is its end. Only its files know the client library, which has an event loop here: the link's
 * thread polls the socket and calls the library.
 *
 * The library never reconnects, pings or writes by itself, so that after the connect nothing but
 * the link's thread touches the socket. It has one thread of its own that passes messages on: they
 * go into the link's inbox.
 */
#ifndef BANTER_SERVER_NATS_WIRE_H
#define BANTER_SERVER_NATS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "server/nats/login.h"
#include "server/nats/message.h"
#include "server/nats/words.h"

struct wire;
struct wire_subscription;
struct wire_terms;

/* ---- what all connections have in common ---- */

struct wire_plan {
    const char *name; /* of the connection, as NATS shows it */
    const char *login;
    const char *authorities;
    const char *certificate, *key;
};

/* Reads the files. NULL, with `error` set, if one of them can't be used. */
struct wire_terms *wire_terms_new(const struct wire_plan *plan, struct error *error);

/* All wires with these terms are closed. The last user of the library waits for the end of its
 * threads, for a second at most. */
void wire_terms_free(struct wire_terms *terms);

/* ---- who hears of it ---- */

/* Each in the link's thread: the tasks of its inbox call them. */
struct wire_hearer {
    struct inbox *inbox; /* of struct link_task */
    int wake_fd;         /* an eventfd, written to when it was empty */
    void (*message)(void *context, void *subscriber, const struct link_message *message);
    void (*leaving)(void *context, struct wire *wire); /* the server asks its clients to go */
    /* We may not subscribe, or publish, what we have: it is as if we had not. */
    void (*denied)(void *context, struct wire *wire, const char *why);
    void *context;
};

/* ---- connecting ---- */

enum wire_result {
    WIRE_OPEN,
    WIRE_AWAY,   /* the server can't be reached, or does not answer; or memory is out */
    WIRE_REFUSED /* it does not want us, or we don't want it: login, or TLS */
};

/* Connects, which takes seconds if the server does not answer (and for ever if it stops in the
 * middle of a handshake of TLS). By one thread at a time for each `terms`. The wire hears nothing
 * before wire_attach(). `error` is set if it is not open. */
enum wire_result wire_connect(struct wire_terms *terms, const struct words_server *server,
                              struct wire **wire, struct error *error);

/* ---- in the link's thread, from here on ---- */

/* Begins to pass messages on. */
void wire_attach(struct wire *wire, const struct wire_hearer *hearer);

/* Closes it, and frees it when nothing of the library uses it any more. The hearer hears nothing of
 * it after that. Also of one that nobody was attached to. NULL is left alone. */
void wire_close(struct wire *wire);

int wire_fd(const struct wire *wire);
bool wire_is_tls(const struct wire *wire);
size_t wire_max_payload(const struct wire *wire);

/* The socket can be read; the first may wait for the rest of a record of TLS. */
void wire_read(struct wire *wire);

/* Sends as much as the kernel takes; of TLS all. */
void wire_write(struct wire *wire);

/* Whether there is something to send, and how many bytes about. */
bool wire_wants_write(const struct wire *wire);
size_t wire_unsent(const struct wire *wire);

/* Ends what waits for the socket; the connection is lost then. From any thread, while the wire is
 * there. */
void wire_cut(struct wire *wire);

enum { WIRE_WHY_SIZE = 200 };

/* Whether it is lost; `why` has WIRE_WHY_SIZE bytes. */
bool wire_is_lost(struct wire *wire, char *why);

/* Passes a copy to what is sent. A status other than 0 goes into headers, with the error. False: it
 * is lost, or memory is out. */
bool wire_publish(struct wire *wire, const char *subject, const char *reply, const void *data,
                  size_t size);
bool wire_publish_error(struct wire *wire, const char *subject, unsigned status, const char *error,
                        const void *data, size_t size);

/* Messages come to hearer.message() with the subscriber. `group` may be NULL. NULL: as above. */
struct wire_subscription *wire_subscribe(struct wire *wire, const char *subject, const char *group,
                                         void *subscriber);

/* Messages that are on their way still come. NULL is left alone. */
void wire_unsubscribe(struct wire_subscription *subscription);

/* Frees it, subscribed or not; no more messages come. NULL is left alone. */
void wire_forget(struct wire_subscription *subscription);

/* Frees what a task of the inbox has, instead of running it. False: it is none of a wire's. */
bool wire_discard(struct link_task *task);

#endif
