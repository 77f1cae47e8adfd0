/*
 * state: what there is of workers: types that worker.h and turns.h share.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_STATE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/handlers/program/exchange.h"
#include "server/handlers/program/instance.h"
#include "server/handlers/program/pace.h"

struct flow;
struct queue;
struct request;
struct tagged;

enum worker_phase {
    WORKER_EMPTY,    /* it has no instance: one is to be started, from start_ms on */
    WORKER_STARTING, /* its instance has not waited yet */
    WORKER_IDLE,     /* it can be given a request */
    WORKER_IN_TURN,  /* it has been given one */
    WORKER_BROKEN,   /* its instance can't go on, and may end by itself until broken_ms */
};

/* When the next look at an instance is due. All zero: never. */
struct look_timer {
    LIST_ENTRY(worker) entry; /* in workers.looking */
    int64_t due_us;           /* 0: it is not in that list */
    int64_t delay_us;         /* the time before the last look; it doubles */
};

/* All zero at first, except for its number and flow. */
struct worker {
    LIST_ENTRY(worker) entry;       /* in workers.all */
    TAILQ_ENTRY(worker) idle_entry; /* in workers.idle, if it is WORKER_IDLE */
    /* on_demand, WORKER_EMPTY and in_line: in workers.line */
    TAILQ_ENTRY(worker) line_entry;
    TAILQ_ENTRY(worker) spare_entry; /* in spares.list, if it has no flow and is not shared */
    uint64_t number;
    struct score *score; /* what others see of it; NULL: memory was out */
    /* the supervisor's: the session that has it to itself; NULL: all do, or, on_demand, none yet */
    struct flow *flow;
    enum worker_phase phase;
    struct instance *instance; /* NULL: WORKER_EMPTY */
    /* Its request waits for an instance unless `given`; a shared worker's is always given. */
    struct exchange exchange;
    bool given;
    bool has_started; /* an instance, ever: the next one takes its place */
    /* given: when the turn must be over, however long the request has waited before; the engine
     * answers it in time. */
    int64_t late_ms;
    /* Several requests are given at once: their session's clock is stopped, and `late_ms` is when
     * the next one must be answered, from `replies` on. NULL: not. */
    struct flow *clock;
    unsigned replies;
    int64_t begun_us; /* given: when */
    bool input_watched;
    /* A restart goes on (shared_restart.h): it has the instance that it had at the beginning; it is
     * to take the place of another worker; such a one has taken this one's place. */
    bool is_outdated, is_successor, is_retired;
    unsigned failures;       /* instances in a row that never answered */
    int64_t start_ms;        /* WORKER_EMPTY: when the next may be started */
    bool in_line;            /* and it waits for its turn to start */
    int64_t starts_until_ms; /* WORKER_STARTING: it is counted in workers.starting; 0: it is not */
    const char *broken;      /* WORKER_BROKEN: why; static */
    int64_t broken_ms;
    /* of the instance; all zero at its start */
    struct instance_state {
        bool answered;         /* it has answered once */
        bool unseen;           /* it can't be seen to wait, but must be */
        bool rests;            /* it was seen to have threads or children that stay */
        int64_t spoken_us;     /* when it last wrote something, or was started */
        int64_t emptied_us;    /* when it was last seen to wait, and all that it wrote was read */
        int64_t rested_us;     /* since when it rests without a break; 0: it does not */
        int64_t unsure_us;     /* since when it may wait, which can't be seen; 0: it does not */
        int64_t hold_us;       /* until when a reply is held; 0: there is none */
        unsigned silent_turns; /* in a row */
        uint64_t silent_session;
        bool silent_to_several; /* sessions */
        int64_t ready_ms;       /* WORKER_STARTING: when it must have waited */
        struct answer greeting;
    } state;
    struct tagged *tagged; /* owned; NULL: requests have turns, one or several at once */
    struct look_timer timer;
    int outcome; /* private to turns.c */
};

/* How requests and replies are told apart; the same for all workers. */
struct turn_rules {
    struct reply_rules reply;
    const char *end; /* what is written behind each request: a newline, and the request end */
    size_t end_size;
    int64_t start_timeout_ms;   /* 0: never */
    int64_t handler_timeout_ms; /* the same */
    unsigned tagged; /* requests that an instance has at once, each with an ID; 0: none */
    unsigned ahead;  /* requests of one session that are given at once, at most */
    bool tell_peer;  /* shared workers: each request has the telling in front of it */
};

struct workers {
    LIST_HEAD(, worker) all;
    struct instances *instances;
    struct queue *queue; /* of which the requests are */
    struct pace pace;    /* of the program */
    const struct turn_rules *rules;
    TAILQ_HEAD(, worker) idle; /* those that have answered before first */
    LIST_HEAD(, worker) looking;
    unsigned looking_count;
    int64_t look_due_us; /* no look is due before it */
    bool on_demand;      /* sessions have workers of their own, which start one after the other */
    /* on_demand: those that wait until they may start: of sessions, and spares */
    TAILQ_HEAD(worker_line, worker) line, spare_line;
    unsigned starting, max_starting; /* on_demand: how many start, and may at a time */
    bool started;                    /* an instance was ready for a request, ever */
    bool answered;                   /* an instance has answered, ever */
    bool unseen;   /* replies can't be told apart, since an instance can't be seen to wait */
    bool recalled; /* nothing is given to an instance any more (recall.h) */
    bool changed;  /* a worker can be given requests since the supervisor looked, or can't */
    char why[300]; /* why an instance was lost or replaced, the last one */
    /* Shared: requests that an instance was given, and was lost before it began with them; they
     * come first, the last one before the others. As many as all are given at once, at most. */
    struct request **unread;
    unsigned unread_count;
};

#define WORKER_DOWN_TEXT                                                                           \
    "the program has failed again and again; it is tried anew every few seconds"

/* Whether its instance is there and has started: else a request waits for the next one. */
static inline bool worker_is_ready(const struct worker *worker)
{
    return worker->phase == WORKER_IDLE || worker->phase == WORKER_IN_TURN || worker->given;
}

#endif
