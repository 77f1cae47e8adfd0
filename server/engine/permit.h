/*
 * permit: a thread's leave to compute. There are as many as cores (server/engine/executor.h); this
 * is a thread's part in that, embedded in each thread of the pool. A thread whose call sleeps needs
 * none, but is watched, since it may compute after all.
 */
#ifndef BANTER_SERVER_ENGINE_PERMIT_H
#define BANTER_SERVER_ENGINE_PERMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/engine/thread.h"

/* All zero at first, except for `thread`. Guarded by the executor's lock. */
struct permit {
    LIST_ENTRY(permit) entry;    /* among those that are held, or watched */
    const struct thread *thread; /* whose it is; as long-lived as the permit */
    bool is_held, is_watched;    /* at most one of them */
    int64_t begun_ns;            /* the thread's CPU time when the call began */
    int64_t seen_ns;             /* the same, at the last sample */
    unsigned still; /* held: samples in a row at which it had not computed; watched: samples */
};

LIST_HEAD(permit_list, permit);

#endif
