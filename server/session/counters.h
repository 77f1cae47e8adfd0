/*
 * counters: what one shard has done so far. Added to by the loop's owner alone, and read by any
 * thread. Requests are counted by the loop (loop->served), events by the log.
 */
#ifndef BANTER_SERVER_SESSION_COUNTERS_H
#define BANTER_SERVER_SESSION_COUNTERS_H

#include "common/counter.h"
#include "common/protocol.h"

struct counters {
    struct counter received;               /* bytes read from clients */
    struct counter sent;                   /* bytes that the kernel took for them */
    struct counter moved;                  /* sessions that went to another shard */
    struct counter errors[PROTOCOL_CODES]; /* error replies, by code */
};

#endif
