/*
 * errands: requests that come without a session, each from somebody else, who gets the answer when
 * it is there, in no order. They go the way of sessions' requests: handler, executor, time-out,
 * counters and log. Where they come from, and where answers go, is their owner's business.
 *
 * One thread owns them and calls these. It waits until errands_fd() is readable, or for
 * errands_due_ms(), and then calls errands_run(). Handlers that may take long are not called in it,
 * but in the executor.
 */
#ifndef BANTER_SERVER_ERRANDS_H
#define BANTER_SERVER_ERRANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/protocol.h"
#include "server/engine/loop.h"
#include "server/request_owner.h"
#include "server/session/counters.h"

struct admission;
struct executor;
struct handler;
struct handler_session;
struct log;
struct log_ring;
struct monitor;

/* Embedded in what the owner keeps of each request, above all where its answer goes. */
struct errand {
    TAILQ_ENTRY(errand) entry;
    struct request *request;
};

struct errands_reply {
    const char *text;
    size_t size;
    bool is_error; /* "-ERR CODE TEXT" */
};

/* All of it outlives the errands. */
struct errands_config {
    struct handler *handler;     /* that relays no sessions */
    struct executor *executor;   /* takes calls that may take long; NULL: nothing does */
    struct monitor *monitor;     /* is there if the executor is */
    struct admission *admission; /* numbers them */
    struct log *log;
    const char *origin; /* stands for each asker's address */
    int64_t timeout_ms; /* how long one may wait for its answer; 0: for ever */
    /* A late answer; the text is good for this call only. The errand is the owner's again. */
    void (*answered)(void *context, struct errand *errand, const struct errands_reply *reply);
    void *context;
};

struct errands {
    struct loop loop; /* first. Its inbox, clock and count are used; nobody is called in it */
    struct errands_config config;
    struct counters counters;
    struct log_ring *log;
    struct handler_session *session_data; /* that all of them share; NULL: there is none */
    struct request_spares spares;
    TAILQ_HEAD(, errand) waiting; /* those that are answered later, the oldest first */
    unsigned count;               /* how many those are */
    size_t bytes;                 /* of their messages */
    enum cost cost;               /* what the last ones have cost */
    struct request *called; /* for the next call; `reply` of the last one, if answered in it */
    uint64_t at_once;       /* answered in their calls, and not measured yet */
    char error[PROTOCOL_ERROR_SIZE]; /* the last reply that the errands have made themselves */
};

/* All zero before. False with errno set: memory or descriptors are out; errands_fini() is due all
 * the same. */
bool errands_init(struct errands *errands, const struct errands_config *config);

/* Gives everything back. None waits, and no handler has one any more. */
void errands_fini(struct errands *errands);

/* Readable when there is something for errands_run(). */
int errands_fd(const struct errands *errands);

/* Sets the clock of what comes next: requests that are asked until errands_end_batch() have begun
 * now. */
void errands_begin_batch(struct errands *errands);
void errands_end_batch(struct errands *errands);

/* Asks the handler. True: it has answered, with what `reply` says until the next call. False: the
 * answer comes later, and the errand is in use until then. */
bool errands_ask(struct errands *errands, struct errand *errand, const char *message, size_t size,
                 struct errands_reply *reply);

/* Counts and logs a request that is refused before the handler knows of it, and makes the error. */
void errands_refuse(struct errands *errands, const char *message, size_t size, const char *code,
                    const char *text, struct errands_reply *reply);

/* Whether the handler has its hands full of what it was given, and nothing more should be asked
 * before some of it is answered. */
bool errands_are_full(const struct errands *errands);

/* Hands out answers that are there, and ends those whose time is over; within a batch. */
void errands_run(struct errands *errands);

/* When errands_run() must be called at the latest, in ms of CLOCK_MONOTONIC; CLOCK_NEVER. */
int64_t errands_due_ms(const struct errands *errands);

/* The process has stood still for so long: all deadlines come later. */
void errands_postpone(struct errands *errands, int64_t ms);

/* Nobody waits for this one any more. True: it was not begun, never will be, and gets no answer;
 * the errand is the owner's again. False: it gets one as if nothing had happened. */
bool errands_cancel(struct errands *errands, struct errand *errand);

/* A stop that waits no longer: each that waits is answered. One that was not begun never will be,
 * and gets PROTOCOL_BUSY; the others PROTOCOL_HANDLER_TIMEOUT. First the handler takes back what it
 * has given to somebody who has not begun: call it again a millisecond later while it returns
 * false, but not for long. */
bool errands_recall(struct errands *errands);
void errands_refuse_all(struct errands *errands);

/* Gives up one that waits, begun or not; it is the owner's again. NULL: none does. For the end. */
struct errand *errands_forget(struct errands *errands);

/* None waits any more, and none is asked again: the handler forgets them. */
void errands_end_session(struct errands *errands);

#endif
