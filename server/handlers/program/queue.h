/*
 * program_queue: the requests that wait for a copy of the program. Each session that asks has a
 * flow; flows are served in turn, a flow's requests in their order. So a client that has sent
 * thousands ahead delays another one by its share only.
 *
 * The queue is bounded in bytes: over the bound the handler is full (server/handler.h), under half
 * of it no more. Nothing is dropped. Any thread may call these; each is short.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_QUEUE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/handler.h"

struct request;
struct worker;

/* What one waiting request counts in addition to its message. */
enum { QUEUE_REQUEST_COST = 512 };

struct queue_item {
    struct request *request; /* held */
    size_t cost;
};

/* One session's waiting requests. All fields but the last two are guarded by the queue's lock. */
struct flow {
    TAILQ_ENTRY(flow) entry;       /* in queue.ready */
    SLIST_ENTRY(flow) ended_entry; /* in queue.ended */
    bool is_ready;                 /* it is in queue.ready */
    struct queue_item *items;      /* a ring; owned */
    unsigned first, count, capacity;
    bool taken; /* queue.one_at_a_time: a request of it is in its copy */
    bool ended; /* the session has ended */
    uint64_t session;
    struct worker *
        /* the session's own copy, for the one who takes from the queue; the queue leaves it
         * alone */
        worker;
};

struct queue {
    struct handler *handler; /* told when the queue is full, and when it is no more */
    size_t max_bytes;
    bool
        /* a flow whose request was taken is served again only after queue_flow_done() */
        one_at_a_time;
    pthread_mutex_t lock;     /* guards all that follows */
    TAILQ_HEAD(, flow) ready; /* flows with something to take, the next one first */
    SLIST_HEAD(, flow) ended; /* one_at_a_time: ended flows that are the taker's to free */
    size_t bytes;
    unsigned waiting; /* requests */
    bool sleeping;    /* the taker wants to be woken */
};

void queue_init(struct queue *queue, struct handler *handler, size_t max_bytes, bool one_at_a_time);

/* All flows have ended, and been freed. */
void queue_fini(struct queue *queue);

/* A flow for a session; NULL when memory is out. */
struct flow *flow_new(uint64_t session);
void flow_free(struct flow *flow);

/* The session has ended: drops what waits. The flow is freed, now or (one_at_a_time) by the
 * taker. Returns whether the taker must be woken. */
bool queue_flow_end(struct queue *queue, struct flow *flow);

enum queue_put {
    QUEUE_PUT,
    QUEUE_PUT_WAKE, /* and the taker must be woken */
    QUEUE_NO_MEMORY,
    QUEUE_OVER, /* the request is over, and its flow may be gone */
};

/* Puts a held request into its session's flow; the queue has the hold from then on, unless it is
 * refused. */
enum queue_put queue_put(struct queue *queue, struct flow *flow, struct request *request);

/* ---- for the taker, one thread ---- */

/* The next request whose answer is still waited for, with its hold; those that are over are
 * released. `*flow` (may be NULL) is the flow it was in, which stays only where the queue is
 * one_at_a_time. NULL: there is none. */
struct request *queue_take(struct queue *queue, struct flow **flow);

/* The flow's request is done. */
void queue_flow_done(struct queue *queue, struct flow *flow);

/* A flow whose session has ended, for the taker to free; NULL: there is none. */
struct flow *queue_ended(struct queue *queue);

/* The taker is about to sleep. False: there is something to take. */
bool queue_sleep(struct queue *queue);

#endif
