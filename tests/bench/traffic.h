/*
 * traffic: many connections that ask the same question over and over, and judge each answer.
 *
 * Three kinds. Closed: each connection keeps `depth` requests under way and asks again when a reply
 * comes; a request's latency counts from its send. Open (`rate`): requests fall due by the clock,
 * whether or not the server keeps up, and the latency counts from when a request was due: a server
 * that stalls is charged for every request that had to wait, not for one. Each on its own
 * (`connect_each`): as closed with depth 1, but a request connects before and closes behind itself,
 * and its latency counts from the connect.
 *
 * One thread, one epoll set. Prints nothing.
 */
#ifndef BANTER_TESTS_BENCH_TRAFFIC_H
#define BANTER_TESTS_BENCH_TRAFFIC_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/frame.h"
#include "common/histogram.h"

/* What makes a reply right. */
enum traffic_right {
    TRAFFIC_EXPECTED, /* it is the expected one */
    TRAFFIC_ANY,      /* it is no error */
    /* It is the server's CLOCK_MONOTONIC in ns, between the request's send and now: when the
     * handler began. Splits the latency into the server's half and the client's. */
    TRAFFIC_STAMP,
};

struct traffic_plan {
    const struct address_list *addresses;
    size_t connections;
    size_t idle;          /* more connections, open from start to end, on which nothing is asked */
    SSL_CTX *tls;         /* of all connections; NULL: they are in the clear */
    size_t depth;         /* requests of a connection that may be unanswered at a time; 1 and up */
    bool connect_each;    /* a connection for each request, `connections` at a time; depth is 1 */
    uint64_t warm_up_ns;  /* what happens in this time after the start is not in the figures */
    uint64_t duration_ns; /* no request falls due later than this after the warm-up; 0: no limit */
    uint64_t requests;    /* no more than so many in all; 0: no limit */
    double rate;          /* open: due requests a second on each connection, jittered; 0: closed */
    bool literal; /* replies have no framing but are the bytes of expected_wire, each time */
    enum frame_codec codec;      /* line or netstring, unless literal */
    struct buffer request;       /* with its framing; not empty */
    enum traffic_right right;    /* TRAFFIC_EXPECTED where it is literal */
    struct buffer expected;      /* the right reply without framing; not for literal */
    struct buffer expected_wire; /* the same with it */
    /* Called once when all connections are open, before anything is asked; or NULL. */
    void (*connected)(void);
    void (*answered)(void); /* the same when nothing more is asked, before anything is closed */
};

struct traffic_result {
    uint64_t answered;        /* replies to requests, right or not */
    uint64_t wrong;           /* of those: not the expected reply */
    uint64_t refused;         /* of those: -ERR where it was not expected */
    uint64_t lost;            /* requests that were never answered */
    uint64_t unasked;         /* frames that came when no reply was owed */
    uint64_t closed;          /* connections that did not live to their end */
    uint64_t connecting_ns;   /* until all connections were open, the idle ones too */
    uint64_t measured;        /* replies after the warm-up */
    uint64_t elapsed_ns;      /* from the end of the warm-up to the last reply */
    struct histogram latency; /* of the requests that started after the warm-up, in ns */
    struct histogram server;  /* TRAFFIC_STAMP: from the send to the handler */
    struct histogram client; /* TRAFFIC_STAMP: the rest: from the due time to the send, and from the
                                 handler to here */
    char sample[160];        /* the beginning of the first reply that was not right, or empty */
};

/* Connects, runs the plan, waits for the replies owed (it gives up when none has come for 30 s),
 * closes. False, with `error` set, where it could not start. `result` is all zero before. */
bool traffic_run(const struct traffic_plan *plan, struct traffic_result *result,
                 struct error *error);

#endif
