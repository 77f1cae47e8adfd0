/*
 * counters: what one shard has done so far. Added to by the loop's owner alone, and read by any
 * thread. Requests are counted by the loop (loop->served), events by the log.
 */
#ifndef BANTER_SERVER_SESSION_COUNTERS_H
#define BANTER_SERVER_SESSION_COUNTERS_H

#include "common/counter.h"
#include "common/latency.h"
#include "common/protocol.h"

struct counters {
    struct counter received;               /* bytes read from clients */
    struct counter sent;                   /* bytes that the kernel took for them */
    struct counter moved;                  /* sessions that went to another shard */
    struct counter errors[PROTOCOL_CODES]; /* frames that are errors, by code */
    struct counter batches;                /* waits of the loop that have ended */
    struct counter late; /* requests whose replies were not there, or not next, in their turn */
    struct latency_counter latency_at_once; /* of the others: the time of the whole batch */
    /* of those: from the start of their batch until the reply is framed in its place */
    struct latency_counter latency_late;
};

#endif
