/*
 * oneshot: an instance for one request. The request is its whole standard input, and what it has
 * written when it has ended is the answer. Some may be started ahead; they wait for their requests
 * with nothing in their input.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_ONESHOT_H
#define BANTER_SERVER_HANDLERS_PROGRAM_ONESHOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/handlers/program/exchange.h"
#include "server/handlers/program/instance.h"

struct flow;
struct request;

struct oneshot {
    LIST_ENTRY(oneshot) entry;        /* in oneshots.all */
    TAILQ_ENTRY(oneshot) spare_entry; /* in oneshots.spares, if it has no request */
    struct instance *instance;
    struct exchange exchange;
    bool input_watched;
    int64_t late_ms;          /* when it must have ended; CLOCK_NEVER: no matter when */
    bool starts;              /* it is counted in oneshots.starting */
    int64_t patient_until_ms; /* it goes behind those that run; 0: not any more */
};

/* The same for all; `end` is the caller's. */
struct oneshot_rules {
    const char *end; /* what is written behind a request */
    bool one_line;   /* a reply can't have a newline in it */
    unsigned ahead;  /* how many wait, started ahead */
    unsigned max;    /* how many instances there may be at a time */
    unsigned starts; /* how many of them may be starting */
};

struct oneshots {
    struct instances *instances;
    struct oneshot_rules rules;
    LIST_HEAD(, oneshot) all;
    TAILQ_HEAD(, oneshot) spares; /* the oldest first */
    unsigned spare_count, starting;
    unsigned failures; /* spares in a row that have ended without a request */
    int64_t spare_ms;  /* when the next spare may be started */
    uint64_t number;   /* of the last instance */
};

void oneshots_init(struct oneshots *oneshots, struct instances *instances,
                   const struct oneshot_rules *rules);

/* Ends all; their requests are answered or over. */
void oneshots_end(struct oneshots *oneshots);

/* Whether a request can be begun now. */
bool oneshots_can_begin(const struct oneshots *oneshots);

/* Begins a request, whose hold it takes over. */
void oneshots_begin(struct oneshots *oneshots, struct request *request, const struct flow *flow);

/* Starts one ahead, if one is wanted and may start now. */
void oneshots_start_ahead(struct oneshots *oneshots);

/* Ends those whose requests nobody waits for any more. */
void oneshots_end_over(struct oneshots *oneshots);

/* Events of its instance. The oneshot may be gone when these return. */
void oneshot_read(struct oneshots *oneshots, struct oneshot *oneshot);
void oneshot_write(struct oneshots *oneshots, struct oneshot *oneshot);
void oneshot_exited(struct oneshots *oneshots, struct oneshot *oneshot);

/* Acts on those whose time has come, and schedules the next time. */
void oneshots_act(struct oneshots *oneshots);

#endif
