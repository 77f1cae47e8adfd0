/*
 * nats/front_state: what the files of a front share.
 */
#ifndef BANTER_SERVER_NATS_FRONT_STATE_H
#define BANTER_SERVER_NATS_FRONT_STATE_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "common/counter.h"
#include "server/handler.h"
#include "server/nats/chance.h"
#include "server/nats/library.h"
#include "server/nats/link.h"
#include "server/nats/shards.h"
#include "server/nats/words.h"
#include "server/request.h"

/* How often a request that may run again is tried without an answer. */
enum { FRONT_TRIES = 5 };

struct front;

/* A request, from its call to its answer. */
struct ask {
    struct link_task task; /* first: its way to the link's thread */
    struct request *request;
    struct front *front;
    /* The link's thread's, from here on. */
    TAILQ_ENTRY(ask) entry; /* in front->waiting */
    bool waits;             /* it is there: for a slot, for room, or for a server */
    bool is_out;            /* it has a slot */
    uint32_t slot;
    uint32_t last_try; /* its number */
    /* Tries that may still be answered, and where they went: it may have been begun there. */
    struct {
        uint32_t number;
        unsigned shard;
    } open[FRONT_TRIES];
    unsigned open_count;
    unsigned unanswered;     /* how often it was late, so far */
    unsigned backoff_ms;     /* when all were busy the last time; 0: they were not */
    int64_t nobody_since_ms; /* since then it has heard of nobody; 0: it has not */
    int64_t late_ms;         /* when the last try is late; CLOCK_NEVER */
    struct link_timer timer; /* for the next try, or, if it waits for a server, its end */
};

struct slot {
    uint32_t generation;
    struct ask *ask; /* NULL: it is free */
};

struct front {
    struct handler *handler;
    struct log *log;
    struct nats_options options;
    struct words_service service;
    char connection[WORDS_SUBJECT_SIZE + 16]; /* its name */
    struct link *link;
    struct chance chance;
    struct shards shards;
    unsigned window;
    struct slot *slots; /* `window` of them; owned */
    uint32_t *free;     /* numbers of those that are; owned */
    unsigned free_count;
    TAILQ_HEAD(, ask) waiting; /* in the order in which they are sent */
    unsigned waiting_count;
    bool is_up, is_blocked; /* there is a server; it takes nothing more for now */
    bool is_full;           /* as the handler was told */
    struct link_timer scan; /* for those that nobody waits for any more */
    unsigned scanned;       /* the slot to go on with */
    unsigned scans;
    /* A stop: nothing is begun any more. */
    atomic_bool is_recalled, recall_is_seen;
    struct link_task recall;
    /* For any thread. */
    atomic_uint out_now, waiting_now;
    atomic_bool is_down;
    struct counter tries, busy, nobody, overdue, late, given_up;
};

/* ---- front_tries ---- */

/* Sends it, or has it wait. In the link's thread, as all of these. */
void front_send(struct front *front, struct ask *ask);

/* Sends those that wait, as long as there is room. */
void front_pump(struct front *front);

/* A reply to a try of a request that has come. */
void front_reply(struct front *front, struct ask *ask, uint32_t try,
                 const struct link_message *message);

/* Nobody waits for it any more: says so to whom it was sent, and frees it. */
void front_give_up(struct front *front, struct ask *ask);

/* Frees it: answered, or in vain. */
void front_finish(struct front *front, struct ask *ask);

/* There is no server for one that waits: it is refused in time. One that may have been begun waits
 * for its answer, however long that is so. */
void front_wait_for_server(struct front *front, struct ask *ask);

/* The timer of an ask is due. */
void front_due(void *context, struct link_timer *timer);

#endif
