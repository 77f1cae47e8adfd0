/*
 * queue: the requests that wait for an instance of the program. Each session has a flow. Flows are
 * served in turn, and the requests of a flow in their order: a client that has sent thousands of
 * requests delays another client by its share only.
 *
 * The queue is bounded in bytes, in all and for each session: above the one bound the handler is
 * full, above the other a session's backlog (server/handler.h), until half of the bound is reached.
 * Nothing is dropped. Any thread may call these; none blocks.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_QUEUE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/handler.h"
#include "server/handlers/program/pause.h"

struct peer_text;
struct request;
struct worker;

/* Bytes that each waiting request counts in addition to its message. */
enum { QUEUE_REQUEST_COST = 512 };

struct queue_item {
    struct request *request; /* held */
    size_t cost;
};

/* One session's waiting requests. The queue's lock guards all but the fields from `session` on, and
 * the changes of `stops`. */
struct flow {
    struct handler_session base;   /* first */
    TAILQ_ENTRY(flow) entry;       /* in queue.ready */
    SLIST_ENTRY(flow) ended_entry; /* in queue.ended */
    bool is_ready;                 /* it is in queue.ready */
    struct queue_item *items;      /* a ring; owned */
    unsigned first, count, capacity;
    size_t bytes;
    size_t replies; /* bytes of replies that have not left their session, the large ones */
    bool taken;     /* queue.one_at_a_time: its last request is not done */
    bool is_ended;  /* and it is kept because its clock is stopped */
    unsigned stopped;
    uint64_t session;
    struct pause stops;     /* while `stopped` is not 0; for all to read */
    struct peer_text *peer; /* the client, for the taker; owned; NULL: not known */
    struct pause pause;     /* of its requests' time; the taker's, and the queue ignores it */
    struct worker *worker;  /* the taker's: the worker of this session; the queue ignores it */
};

/* Bytes of requests that may wait. */
struct queue_bounds {
    size_t all, each; /* of all sessions together, and of each of them */
};

struct queue {
    struct handler *handler; /* to be set full, and not full */
    struct queue_bounds bounds;
    bool one_at_a_time;       /* nothing is taken from a flow before queue_flow_done() */
    bool keeps_flows;         /* ended flows are the taker's to free; set if one_at_a_time */
    pthread_mutex_t lock;     /* guards all that follows */
    TAILQ_HEAD(, flow) ready; /* flows with something to take, the next one first */
    SLIST_HEAD(, flow) ended; /* keeps_flows */
    size_t bytes;
    unsigned waiting; /* requests */
    bool sleeping;    /* the taker wants to be woken */
};

void queue_init(struct queue *queue, struct handler *handler, const struct queue_bounds *bounds,
                bool one_at_a_time);

/* From now on ended flows are the taker's to free. Before the first flow. */
void queue_keep_flows(struct queue *queue);

/* All flows have ended and are freed. */
void queue_fini(struct queue *queue);

/* A flow for a session; NULL: out of memory. */
struct flow *flow_new(uint64_t session);

/* Keeps a copy of what is known of the client. */
void flow_set_peer(struct flow *flow, const struct peer_text *peer);

void flow_free(struct flow *flow);

/* The session has ended: drops its waiting requests. The flow is freed, now or (keeps_flows) by the
 * taker. Returns whether the taker must be woken. */
bool queue_flow_end(struct queue *queue, struct flow *flow);

enum queue_put {
    QUEUE_PUT,
    QUEUE_PUT_WAKE,  /* and the taker must be woken */
    QUEUE_NO_MEMORY, /* refused */
    QUEUE_OVER,      /* refused: the request is over, and its flow may be gone */
};

/* Puts a held request into its session's flow. The hold is the queue's from then on, unless the
 * request is refused. */
enum queue_put queue_put(struct queue *queue, struct flow *flow, struct request *request);

/* A large reply is about to be given; it, or a verdict in its place, has left its session. While a
 * session's replies hold too much nothing is taken of its flow: a reply that waits for others
 * before it must not be followed by as many as it has asked for. Of the second: whether the taker
 * must be woken. */
void queue_reply_held(struct queue *queue, struct request *request, size_t size);
bool queue_reply_gone(struct queue *queue, struct request *request);

/* ---- for the taker, one thread ---- */

/* The next request that still needs an answer, with its hold; those that are over are released.
 * NULL: there is none. `*flow` (may be NULL) is its flow, which may be gone by now unless the queue
 * keeps flows. */
struct request *queue_take(struct queue *queue, struct flow **flow);

/* The same for up to `max` requests of one flow, in their order. Returns how many there are. */
unsigned queue_take_some(struct queue *queue, struct request **requests, unsigned max,
                         struct flow **flow);

/* request_deadline_ms() of a request whose session may end meanwhile, and its flow with it;
 * CLOCK_NEVER if it is over. */
int64_t queue_deadline_ms(struct queue *queue, const struct request *request);

/* Lets the time of the session's requests stand still (flow.stops), for a taker that keeps their
 * time itself; the request is one of them. NULL: it is over. Else the flow stays there until
 * queue_start_clock(), which must follow. */
struct flow *queue_stop_clock(struct queue *queue, const struct request *request, int64_t now_ms);
void queue_start_clock(struct queue *queue, struct flow *flow, int64_t now_ms);

/* The request last taken from this flow is done. */
void queue_flow_done(struct queue *queue, struct flow *flow);

/* A flow whose session has ended, for the taker to free; NULL: there is none. */
struct flow *queue_ended(struct queue *queue);

/* The taker is about to sleep, and wants to be woken. False: there is something to take. */
bool queue_sleep(struct queue *queue);

#endif
