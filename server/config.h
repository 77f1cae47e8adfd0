/*
 * config: how a server is to run, as its user says it (server/server.h).
 */
#ifndef BANTER_SERVER_CONFIG_H
#define BANTER_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/frame.h"

struct access;
struct address_permissions;
struct handler;
struct log;
struct nats_options;
struct nats_serving;
struct tls_server;

/* Each session counts up to this in few bits. */
#define SERVER_REQUESTS_BITS 15
enum { SERVER_MAX_REQUESTS = (1 << SERVER_REQUESTS_BITS) - 1 };

/* At least this many requests of the largest size fit into max_memory. */
enum { SERVER_LEAST_MESSAGES = 2 };

/* Which subjects of NATS to serve, too. The texts and options outlive the server. */
struct server_nats {
    const struct nats_serving *serving; /* of the module (server/nats/library.h) */
    const struct nats_options *options;
    const char *const *addresses; /* SERVERS/SUBJECT[#N] */
    unsigned count;
};

/* Times in milliseconds; 0 is never, except for drain_timeout_ms: at once. */
struct server_config {
    const char *const *listen; /* addresses to listen on, as texts of common/address.h */
    unsigned listen_count;
    /* and stream sockets that are bound already: the server listens on them and owns them */
    const int *sockets;
    unsigned socket_count;
    const bool *socket_is_tls; /* whether each of these is for TLS; NULL: none is */
    /* of the Unix paths among the addresses; NULL: those that the umask leaves */
    const struct address_permissions *socket_permissions;
    const struct server_nats *nats; /* outlives the server; NULL: none are served */
    enum frame_codec codec;         /* of replies, and so of requests: frame_codec_of_requests() */
    size_t max_message;             /* bytes of a request, without framing */
    /* bytes that all clients together may make it hold; 0: a quarter of the machine's */
    size_t max_memory;
    bool telnet; /* telnet commands are taken out of what clients send; in codecs of lines only */
    /* requests of one session; behind that many it is closed. 0: no bound; SERVER_MAX_REQUESTS at
     * most */
    unsigned max_requests;
    /* loops; 0: one a core, of which as many are in use as serve most */
    unsigned threads;
    unsigned max_clients;       /* 0: as many of the default as descriptors allow */
    bool keeps_since;           /* when each session has begun, to tell who asks: 4 bytes each */
    unsigned other_descriptors; /* that the program may open beside the server's */
    /* of one IPv4 address, one half of an IPv6 address, or one Unix user; 0: any number */
    unsigned max_per_address;
    /* who may connect: the caller's, until server_close() has returned; NULL: everybody */
    struct access *access;
    /* what clients of those that begin with tls: shake hands with; the caller's, as `access` is.
     * NULL: there are none */
    struct tls_server *tls;
    int64_t handshake_timeout_ms; /* from accept to session, of those who must show something */
    int64_t request_timeout_ms;
    int64_t handler_timeout_ms;
    int64_t idle_timeout_ms;
    int64_t write_timeout_ms;
    int64_t drain_timeout_ms;
    /* readable once the start is to be given up, for parts that may wait in it; 0: never */
    int stop_fd;
    /* how long a handler runs before its loop goes on without it; 0: for ever */
    unsigned stall_ms;
    /* open; from server_open()'s success on the server closes it. It stays where it is */
    struct handler *handler;
    /* Called once, with `ready_context`, in the thread that calls server_run(), when it has logged
     * that it listens and its loops go; must not block. NULL: it is not. */
    void (*ready)(void *context);
    void *ready_context;
    /* the caller's, until server_close() has returned; NULL: nothing is logged, only counted */
    struct log *log;
};

#endif
