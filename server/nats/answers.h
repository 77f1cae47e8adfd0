/*
 * nats/answers: what a service has to say, on its way to NATS. What can't be sent at once is kept
 * until it can, in its order, within bounds: NATS may be away for a moment, or read slowly.
 *
 * In the link's thread only, but for the counter.
 */
#ifndef BANTER_SERVER_NATS_ANSWERS_H
#define BANTER_SERVER_NATS_ANSWERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/counter.h"
#include "server/errands.h"

struct link;

struct answer;

struct answers {
    struct link *link;
    int64_t timeout_ms; /* nobody waits longer for one that is kept; 0: they wait for ever */
    STAILQ_HEAD(, answer) kept;
    unsigned count; /* of these */
    size_t bytes;
    struct counter lost; /* so far: there was no room, or no time left */
};

void answers_init(struct answers *answers, struct link *link, int64_t timeout_ms);
void answers_fini(struct answers *answers);

/* Sends a reply, or keeps a copy. One that is too long for NATS becomes an error that says so. */
void answers_send(struct answers *answers, const char *subject, const struct errands_reply *reply);

/* Sends what was kept, as far as it can be. */
void answers_go_on(struct answers *answers);

#endif
