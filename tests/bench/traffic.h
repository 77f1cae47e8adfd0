/*
 * traffic: many connections that ask the same question over and over, and judge each answer.
 *
 * Two kinds. Closed: each connection keeps `depth` requests under way and asks again when a reply
 * comes; a request's latency counts from its send. Open (`rate`): requests fall due by the clock,
 * whether or not the server keeps up, and the latency counts from when a request was due: a server
 * that stalls is charged for every request that had to wait, not for one.
 *
 * One thread, one epoll set. Prints nothing.
 */
#ifndef BANTER_TESTS_BENCH_TRAFFIC_H
#define BANTER_TESTS_BENCH_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/frame.h"
#include "common/histogram.h"

struct traffic_plan {
    const struct address_list *addresses;
    size_t connections;
    size_t depth;         /* requests of a connection that may be unanswered at a time; 1 and up */
    uint64_t duration_ns; /* no request falls due later than this after the start; 0: no limit */
    uint64_t requests;    /* no more than so many in all; 0: no limit */
    double rate;          /* open: due requests a second on each connection, jittered; 0: closed */
    enum frame_codec codec;      /* line or netstring */
    struct buffer request;       /* with its framing; not empty */
    struct buffer expected;      /* the right reply without framing */
    struct buffer expected_wire; /* the same with it */
    bool any_reply;              /* every reply but an error is right */
};

struct traffic_result {
    uint64_t answered;        /* replies to requests, right or not */
    uint64_t wrong;           /* of those: not the expected reply */
    uint64_t refused;         /* of those: -ERR where it was not expected */
    uint64_t lost;            /* requests that were never answered */
    uint64_t unasked;         /* frames that came when no reply was owed */
    uint64_t closed;          /* connections that did not live to the end */
    uint64_t elapsed_ns;      /* from the start to the last reply */
    struct histogram latency; /* of all that were answered, in ns */
    char sample[160];         /* the beginning of the first reply that was not right, or empty */
};

/* Connects, runs the plan, waits for the replies owed (it gives up when none has come for 30 s),
 * closes. False, with `error` set, where it could not start. `result` is all zero before. */
bool traffic_run(const struct traffic_plan *plan, struct traffic_result *result,
                 struct error *error);

#endif
