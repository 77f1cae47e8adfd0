/*
 * request_engine: the engine's side of a request (server/request.h is the handler's).
 *
 * Who may touch what. `message`, `size`, `session_number` and `loop` don't change after
 * request_start(), but for the copy that a hold makes within handle(). `reply` belongs to the
 * handler until the request is answered, then to the loop's owner. The fields from `session` on
 * belong to the loop's owner. `state` and `holds` are for everybody.
 *
 * How an answer finds its way. The engine has one reference to a request, all holds together have
 * another; who drops the last one frees it. An answer is CLAIMED first (exactly one side wins: a
 * handler's answer, or the engine's own verdict such as a time-out), then it is ANSWERED. While
 * handle() runs in the loop's owner the engine looks at the answer when handle() returns. Otherwise
 * the request is DETACHED (it was held, or its loop was taken): whichever of ANSWERED and DETACHED
 * comes second delivers it; if that is the answer, into the loop's inbox.
 */
#ifndef BANTER_SERVER_REQUEST_OWNER_H
#define BANTER_SERVER_REQUEST_OWNER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/engine/inbox.h"
#include "server/engine/cost.h"
#include "server/request.h"
#include "server/engine/heap.h"

struct loop;
struct session;

struct request {
    struct inbox_node node; /* first: the inbox's way back to the request */
    atomic_uint state;
    atomic_uint holds; /* handle() itself is one while it runs */
    atomic_uint references;
    uint64_t session_number;
    const char *message; /* a view into the owner's input until a hold copies it */
    size_t size;
    void *session_data;  /* the handler's own, of the session that asks; set before the call */
    int64_t deadline_ms; /* when the handler must have answered; set before the call */
    char *copy;          /* owned; NULL before a hold */
    /* `reply` is the answer as soon as handle() has returned; for the thread that is in it alone.
     * It is claimed and made known only where that call is not the loop's any more. */
    bool built;
    struct buffer reply;
    struct loop *loop;
    struct session *session; /* NULL once the session does not wait for it any more */
    struct request *next;    /* the next request of the same session */
    /* not NULL: the engine's own answer instead of `reply`; static strings */
    const char *verdict_code;
    const char *verdict_text;
    bool ready; /* can be delivered when it is its turn */
    /* Where it is not answered within its call in the loop: what the call tells of the session, or
     * COST_UNKNOWN; before that, what is known of the session. Belongs to the thread that calls. */
    enum cost cost;
    struct call_sample sample;            /* of the call, from when it has lost its loop */
    struct heap_item place;            /* where it waits when it is offloaded; the offload's */
    struct inbox_node return_node; /* the call's way back, where it returns before the answer */
};

/* A request that belongs to one thread, for the calls it makes. NULL when memory is out. */
struct request *request_new(void);

/* Gives back a request between two calls. NULL is left alone. */
void request_free(struct request *request);

/* Makes it ready for a call of handle() with a view of the message. */
void request_start(struct request *request, struct loop *loop, struct session *session,
                   uint64_t session_number, const char *message, size_t size);

enum request_outcome {
    REQUEST_ANSWERED,  /* `reply` is there; the caller may use the request for the next call */
    REQUEST_FORGOTTEN, /* neither answered nor held: nobody will answer; as above */
    /* to be answered later: the caller links it to its session, detaches it, and drops the
     * call's hold with request_release() */
    REQUEST_HELD,
};

/* What came of a call whose handle() has returned in the loop's owner. */
enum request_outcome request_outcome(const struct request *request);

/* From here on the answer comes through the inbox. True when it is there already: then it does
 * not. */
bool request_detach(struct request *request);

/* Takes the right to answer. False when somebody else has it: the answer is there or is about to
 * be. */
bool request_claim(struct request *request);

/* As request_claim(), and whoever answers later does so in vain, without a word in the log: the
 * client has gone. */
bool request_cancel(struct request *request);

/* A call outside of the loop (server/engine/executor.h): the message is copied, since the owner's input does
 * not stay (false: out of memory); then the handler is called, if somebody still wants the answer. */
bool request_keep_message(struct request *request);
void request_call(struct request *request);

/* A call outside of the loop is over, and the request is detached: drops the call's hold. Where the
 * handler has kept the request to answer it later, the hold goes to the loop instead
 * (INBOX_RETURN), which drops it: so it learns that the session's next request may be called. */
void request_returned(struct request *request);

/* The request of a node of that kind. */
struct request *request_of_return(struct inbox_node *node);

/* Drops the engine's reference. */
void request_unref(struct request *request);

#endif
