/*
 * oneshot: an instance for one request. The request is its whole standard input, and what it has
 * written when it has ended is the answer. Some may be started ahead; they wait for their requests
 * with nothing in their input. A program may answer without reading its request; but one that was
 * started ahead and ends so may have ended anyway, so the request goes to another one.
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
    TAILQ_ENTRY(oneshot) spare_entry; /* in oneshots.spares, if it is one */
    bool is_spare;                    /* it was started ahead, and has no request */
    struct instance *instance;
    struct score *score; /* what others see of it; NULL: memory was out */
    struct exchange exchange;
    /* Of one that was a spare: whose request it is, and a reading end of its input, which tells
     * whether it has read of it; -1: there is none. */
    const struct flow *flow;
    int unread_fd;
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
    TAILQ_HEAD(oneshot_list, oneshot) spares; /* the oldest first */
    unsigned spare_count, starting;
    unsigned more;     /* spares that are wanted in addition: a restart goes on */
    unsigned failures; /* spares in a row that have ended without a request */
    int64_t spare_ms;  /* when the next spare may be started */
    uint64_t number;   /* of the last instance */
};

/* Starts one ahead, which has no request yet. NULL: `*failure` is the errno of what failed. */
struct oneshot *oneshot_start_ahead(struct oneshots *oneshots, int *failure);

/* Starts one for a request, whose hold it takes over, of a client. */
void oneshot_begin(struct oneshots *oneshots, struct request *request, const struct flow *flow);

/* The same for a spare, which is none any more; for a client. When it ends and has not read a byte,
 * another one is started for the request. False: nobody reads it, and it is not taken. */
bool oneshot_give(struct oneshots *oneshots, struct oneshot *oneshot, struct request *request,
                  const struct flow *flow);

/* One that was to wait for its request has not. It may be one that reads none. */
void oneshots_spare_failed(struct oneshots *oneshots);

/* Whether the time of its request is over, which may have been postponed. */
bool oneshot_is_late(const struct oneshots *oneshots, struct oneshot *oneshot);

/* It runs for longer than most: it goes on as others do. */
void oneshot_end_patience(struct oneshots *oneshots, struct oneshot *oneshot);

/* Ends it, gently or not; or with an error, which is logged. */
void oneshot_end(struct oneshots *oneshots, struct oneshot *oneshot, bool gently);
void oneshot_refuse_and_end(struct oneshots *oneshots, struct oneshot *oneshot, const char *code,
                            const char *text);

/* Events of its instance. The oneshot may be gone when these return. */
void oneshot_read(struct oneshots *oneshots, struct oneshot *oneshot);
void oneshot_write(struct oneshots *oneshots, struct oneshot *oneshot);
void oneshot_exited(struct oneshots *oneshots, struct oneshot *oneshot);

#endif
