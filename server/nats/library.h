/*
 * nats/library: what banterd-nats.so has for the server, which opens it if a handler or an address
 * begins with nats:. Only then is libnats in the process: others pay nothing for it.
 */
#ifndef BANTER_SERVER_NATS_LIBRARY_H
#define BANTER_SERVER_NATS_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/address.h"
#include "common/error.h"

#define NATS_LIBRARY_FILE "banterd-nats.so"
#define NATS_LIBRARY_SYMBOL "banterd_nats"

#define NATS_PREFIX "nats:" /* in front of SERVERS/SUBJECT, as a handler and as an address */

enum { NATS_DEFAULT_WINDOW = 1024, NATS_MAX_WINDOW = 1 << 20 };
#define NATS_DEFAULT_GROUP "q"

struct handler_kind;
struct nats_serving;

/* What the options say (server/options_nats.h); the texts outlive the handler and the server. */
struct nats_options {
    /* of the front */
    const char *run_again; /* as it was given; NULL: it was not */
    bool runs_again;       /* also what may have been begun */
    int64_t try_ms;        /* so long without an answer, then another is tried; 0: none was given */
    unsigned window;       /* requests that are out at once; 0: none was given */
    /* of both sides; NULL: none was given */
    const char *login;
    const char *authorities;
    const char *certificate;
    const char *key; /* in the certificate's file, without */
    /* of the worker machine */
    const char *group;
    const char *name;
    bool no_micro;
};

/* What a front does, and has done so far. */
struct nats_front_figures {
    char server[ADDRESS_HOST_SIZE + 8]; /* HOST:PORT that it is connected to; "": none */
    bool is_down;                       /* nobody serves the subject */
    uint64_t connects, losses;          /* of servers */
    uint64_t out, waiting;              /* requests, now */
    uint64_t tries;                     /* how often requests were sent */
    uint64_t busy, nobody; /* tries that were turned down, since all were, or for want of anybody */
    uint64_t overdue;      /* tries behind which another was made, since no answer came */
    uint64_t late;         /* replies that were dropped */
    uint64_t given_up;     /* requests that nobody waited for any more */
};

struct nats_library {
    const char *version; /* the server's */
    const struct handler_kind *front;
    const struct nats_serving *serving; /* server/nats/serving.h */
};

/* The library: in the program's folder, in ../lib/banter from there, or where `make install` put
 * it. NULL, with `error` set, if it is not there or not of this version. It is never closed. */
const struct nats_library *nats_library_open(struct error *error);

#endif
