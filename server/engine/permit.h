/*
 * permit: a thread's leave to run a job. Those that compute need one, and there are as many as
 * cores (server/engine/executor.h); the others are counted, too, each in its lane. This is a
 * thread's part in that, embedded in each thread of the pool.
 */
#ifndef BANTER_SERVER_ENGINE_PERMIT_H
#define BANTER_SERVER_ENGINE_PERMIT_H

#include <stdint.h>
#include <sys/queue.h>

#include "server/engine/thread.h"

struct lane;

/* All zero at first, except for `thread`. Guarded by the executor's lock. */
struct permit {
    LIST_ENTRY(permit) entry;    /* in its lane */
    const struct thread *thread; /* whose it is; as long-lived as the permit */
    struct lane *lane;           /* the executor's, where its job is counted; NULL: nowhere */
    int64_t begun_ns;            /* the thread's CPU time when the call began */
    int64_t seen_ns;             /* the same, at the last sample */
    unsigned still; /* samples in a row at which it had not computed; of a call that sleeps, all */
};

LIST_HEAD(permit_list, permit);

#endif
