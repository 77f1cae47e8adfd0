/*
 * nats/serving: a worker machine's side of NATS, for one subject: takes the messages that its queue
 * group is given, has the server's handler answer them, and says of itself what `nats micro` asks.
 *
 * It lives in the thread of its link, and touches no loop: a NATS server that is frozen or away
 * delays nobody but those who ask over it.
 */
#ifndef BANTER_SERVER_NATS_SERVING_H
#define BANTER_SERVER_NATS_SERVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "server/nats/library.h"
#include "server/nats/words.h"

struct admission;
struct errands;
struct executor;
struct handler;
struct log;
struct monitor;
struct nats_service;

/* All of it but `where` outlives the service. */
struct nats_service_config {
    const char *where; /* SERVERS/SUBJECT[#N] */
    const struct nats_options *options;
    struct handler *handler;
    struct admission *admission;
    struct log *log;
    unsigned cores;
    size_t max_message;
    bool lines; /* requests are lines */
    int64_t handler_timeout_ms, drain_timeout_ms;
    int stop_fd; /* readable once the start is to be given up; 0: never */
};

/* What it has done so far, and does now. */
struct nats_service_figures {
    char subject[WORDS_SUBJECT_SIZE];   /* of the shard, if there are some */
    char server[ADDRESS_HOST_SIZE + 8]; /* that it is connected to; "": none */
    uint64_t is_connected;              /* 0 or 1 */
    uint64_t connects, losses;          /* of NATS servers */
    uint64_t requests;                  /* that were taken */
    uint64_t busy;                      /* that were not, since all places were taken */
    uint64_t withdrawn; /* that were taken, and not begun, since nobody waited any more */
    uint64_t dropped;   /* messages without a subject for their answers, which are not requests */
    uint64_t lost;      /* answers that could not be sent */
    uint64_t running;   /* requests now */
    uint64_t limit;     /* how many of these there may be now */
};

/* Its functions, for the server. */
struct nats_serving {
    /* Connects, or begins to: it goes on without NATS. NULL, with `error` set, if a text or a file
     * is wrong, or the NATS server does not want us. */
    struct nats_service *(*open)(const struct nats_service_config *config, struct error *error);

    /* Serves from now on. NULL for both if there is no executor. */
    void (*begin)(struct nats_service *service, struct executor *executor, struct monitor *monitor);

    /* Begins to leave: nothing more is taken, and what was taken is finished, within the drain's
     * time. From any thread, once. */
    void (*stop)(struct nats_service *service);

    /* Waits until it has left: true; false at `until_ms`. Behind stop(). */
    bool (*wait)(struct nats_service *service, int64_t until_ms);

    /* Ends its thread. What a handler still has gets no answer. */
    void (*end)(struct nats_service *service);

    /* Gives everything back, behind end() and when the handler is closed. */
    void (*free)(struct nats_service *service);

    /* For any thread, until free(). */
    void (*figures)(struct nats_service *service, struct nats_service_figures *figures);
    const struct errands *(*errands)(const struct nats_service *service);
};

extern const struct nats_serving nats_serving;

#endif
