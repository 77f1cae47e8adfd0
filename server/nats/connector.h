/*
 * nats/connector: a thread that connects, since the library does that only while its caller waits.
 * It first asks whether there is a server at all: one that is frozen or away would keep the library
 * for long.
 *
 * It also watches over the link's thread, which the library may keep waiting for the rest of a
 * record of TLS.
 */
#ifndef BANTER_SERVER_NATS_CONNECTOR_H
#define BANTER_SERVER_NATS_CONNECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "server/nats/message.h"
#include "server/nats/wire.h"
#include "server/nats/words.h"

struct connector;

enum { CONNECTOR_VERSION_SIZE = 32 };

/* What has come of an order, in the link's thread. */
struct connector_report {
    enum wire_result result; /* WIRE_REFUSED: at least one server has refused */
    struct wire *wire;       /* the link's, if it is WIRE_OPEN */
    unsigned server;         /* its number, or that of the one that `error` is about */
    char version[CONNECTOR_VERSION_SIZE];
    struct error error;
};

struct connector_plan {
    struct wire_plan wire;
    const struct words_server *servers; /* copied */
    unsigned count;
    struct inbox *inbox; /* of struct link_task */
    int wake_fd;
    void (*reported)(void *context, const struct connector_report *report);
    void *context;
};

/* NULL, with `error` set, if a file of the plan can't be used, or memory or threads are out. */
struct connector *connector_start(const struct connector_plan *plan, struct error *error);

/* Has it try all servers once, from this number on, each but `avoided` (-1: none), which comes
 * last. Exactly one report follows; before that nothing else is ordered. */
void connector_order(struct connector *connector, unsigned first, int avoided);

/* Ends it: it reports no more. Waits until its thread has ended, for two seconds at most if that is
 * in the library, else for a moment; or not at all. Behind a call that did not wait, one may follow
 * that does, when all wires are closed. NULL is left alone. */
void connector_stop(struct connector *connector, bool waits);

/* Frees what was stopped, when its thread has ended too. No task of it is in the inbox any more:
 * connector_discard() frees what one has, instead of running it; false: it is none of these. NULL
 * is left alone. */
void connector_free(struct connector *connector);
bool connector_discard(struct link_task *task);

/* The wire to watch; NULL: none any more. It must not be closed while it is watched. */
void connector_watch(struct connector *connector, struct wire *wire);

/* The link's thread enters the library with this wire, and has left it: 0. In ms of
 * CLOCK_MONOTONIC. */
void connector_entered(struct connector *connector, int64_t at_ms);

#endif
