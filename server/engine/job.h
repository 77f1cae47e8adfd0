/*
 * job: what the executor runs, embedded in a request, or in something else that takes long.
 *
 * `node` comes first and serves two inboxes, one after the other: the executor's from
 * executor_submit() until a thread takes the job, then the loop's when the answer is posted. That
 * is safe because a job that is in the executor's inbox has not run, and so can't have been
 * answered by its call; if something else answers it meanwhile (a time-out), nothing is posted,
 * since the request is not detached before its call is over.
 */
#ifndef BANTER_SERVER_ENGINE_JOB_H
#define BANTER_SERVER_ENGINE_JOB_H

#include <sys/queue.h>

#include "server/engine/cost.h"
#include "server/engine/heap.h"
#include "server/engine/inbox.h"

struct job_ops;

struct job {
    struct inbox_node node;    /* first */
    const struct job_ops *ops; /* NULL: those that the executor was given */
    /* what is known of its cost before it runs; what was learned when it has run */
    enum cost cost;
    struct call_sample sample; /* of a call that has lost its loop */
    union {                    /* while it waits in the executor; guarded by the executor's lock */
        struct heap_item place;
        STAILQ_ENTRY(job) entry;
    };
};

STAILQ_HEAD(job_queue, job);

/* What the executor does with jobs: given once, and for jobs of other kinds with each. Each is
 * called at most once for a job, and the job may be gone when it returns. */
struct job_ops {
    void (*run)(struct job *job);     /* in a thread of the pool; may take any time */
    void (*release)(struct job *job); /* instead of run(): the executor closes */
};

#endif
