/*
 * connection: one of the generator's connections, and what all of them share.
 *
 * Each counts the requests that fell due, that were sent and that were answered; a ring keeps the
 * times of each that is due and not answered. What may be sent is the difference of the counts, so
 * the kinds of traffic differ only in who makes requests fall due: a reply, the clock, a connect.
 *
 * For traffic.c and connection.c only. One thread.
 */
#ifndef BANTER_TESTS_BENCH_CONNECTION_H
#define BANTER_TESTS_BENCH_CONNECTION_H

#include "tests/bench/secure.h"
#include "tests/bench/traffic.h"

/* CLOCK_MONOTONIC in ns. */
struct request_times {
    uint64_t start; /* when it fell due */
    uint64_t sent;  /* when it was handed over; told apart for TRAFFIC_STAMP only */
};

struct connection {
    int fd; /* -1: it has ended, or has not begun */
    bool wants_out;
    SSL *ssl;   /* NULL: in the clear, or it has ended */
    bool holds; /* the last read was full: TLS may hold more, of which epoll knows nothing */
    struct frame_decoder decoder;
    struct buffer in; /* the beginning of a reply whose end has not come, or ... */
    size_t matched; /* ... how much has come of one that is the expected one so far, and not kept */
    uint64_t due;   /* requests so far that fell due ... */
    uint64_t sent;  /* ... that were handed to the kernel or stand in out_left ... */
    uint64_t answered;           /* ... that were answered */
    struct request_times *times; /* ring: of each of those from `answered` to `due` */
    size_t times_mask;           /* its size, a power of two, less one */
    size_t out_left;             /* bytes of requests that the kernel has not taken */
    size_t out_offset;           /* how much of the first of them it has */
    uint64_t next_due;           /* open: when the next one falls due; UINT64_MAX: never */
};

struct traffic {
    const struct traffic_plan *plan;
    struct traffic_result *result;
    struct frame_rules rules;
    int epoll_fd;
    struct connection *connections; /* the plan's, then the idle ones */
    struct connection **schedule;   /* open: a heap, the earliest next_due first */
    size_t open;                    /* connections that have not ended, without the idle ones */
    struct buffer requests;         /* several requests in a row, so that one write can send them */
    struct buffer input;            /* what the present connection's read returned */
    uint64_t due;                   /* over all connections */
    uint64_t measured_from;         /* the end of the warm-up */
    uint64_t end;                   /* no request falls due at or after this */
    uint64_t last_reply;
    uint64_t last_progress; /* since when a reply has been waited for in vain */
    uint64_t random;
    bool out_of_memory;
};

/* How many bytes a read asks for, and about as many a write should have. */
#define CONNECTION_BYTES ((size_t) 64 << 10)

/* Whether another request may fall due at this time. */
bool may_fall_due(const struct traffic *traffic, uint64_t when);

/* Connects, and waits for it. False with `error` set. */
bool connection_open(struct traffic *traffic, struct connection *connection, struct error *error);

/* Counts one request more that falls due; connection_send() sends it. */
void connection_fall_due(struct traffic *traffic, struct connection *connection, uint64_t when);

/* Sends what is due, as far as the depth and the kernel allow. */
void connection_send(struct traffic *traffic, struct connection *connection);

/* Closed kind: makes requests fall due as far as there is room for them, and sends them. */
void connection_ask(struct traffic *traffic, struct connection *connection, uint64_t now);

/* Kind connect_each: begins a connection with its one request. One that fails at once is counted,
 * and followed by the next. */
void connection_ask_anew(struct traffic *traffic, struct connection *connection);

/* Goes on with what epoll has told. */
void connection_serve(struct traffic *traffic, struct connection *connection, uint32_t events);

/* Closes it and gives back what it holds. */
void connection_fini(struct connection *connection);

#endif
