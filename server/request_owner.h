/*
 * request_owner: a request as those see it who run it and wait for it; server/request.h is the
 * handler's view.
 *
 * Who asks. A request knows its asker through three functions (struct asker): a session is one kind
 * of asker, and requests may come from elsewhere. All are called in the owner of the request's
 * loop.
 *
 * Who may touch what. `message`, `size`, `session_number` and `loop` don't change after
 * request_start(), except for the copy that a hold makes within handle(). `reply` belongs to the
 * handler until the request is answered, then to the loop's owner. The fields from `context` on
 * belong to the loop's owner. `state` and `holds` are for everybody.
 *
 * How an answer finds its way. The asker has one reference to a request, all holds together have
 * another; whoever drops the last one frees it. An answer is CLAIMED first (exactly one side wins:
 * a handler's answer, or the asker's own verdict such as a time-out), then it is ANSWERED. While
 * handle() runs in the loop's owner, the owner looks at the answer when handle() returns. Otherwise
 * the request is DETACHED (it was held, or its loop was taken, or the executor ran it): whichever
 * of ANSWERED and DETACHED comes second delivers it; if that is the answer, into the loop's inbox.
 *
 * What was begun. A request is BEGUN from the start, unless it is deferred: then taking it back
 * (CLAIMED before BEGUN) and beginning it exclude each other, so that a stop can promise that
 * nothing without a reply was run.
 *
 * Three nodes, three inboxes. `job.node` goes to the executor's inbox and later, with the answer,
 * to the loop's (server/engine/job.h says why that is safe). `return_node` goes to the loop's inbox
 * when a call outside of the loop has returned before its answer is there; it has the call's hold,
 * so the request stays until it has been delivered, even if the answer overtakes it. `room_node`,
 * with a hold of its own, goes there when the handler has room for more from the session.
 */
#ifndef BANTER_SERVER_REQUEST_OWNER_H
#define BANTER_SERVER_REQUEST_OWNER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buffer.h"
#include "server/engine/job.h"
#include "server/net/peer.h"
#include "server/request.h"

struct handler;
struct listeners;
struct log;
struct loop;

/* A kind of asker. Called in the owner of the request's loop, while request->context is set. */
struct asker {
    /* The answer is there (`ready`); the reference stays with the asker. */
    void (*answered)(struct request *request);
    /* A call outside of the loop has returned, and the answer comes later. */
    void (*returned)(struct request *request);
    /* The handler has kept its session from asking more, and does so no longer. */
    void (*has_room)(struct request *request);
};

struct request {
    struct job job; /* first */
    atomic_uint state;
    atomic_uint holds; /* handle() itself is one while it runs */
    atomic_uint references;
    struct handler *handler;   /* that answers it */
    const struct asker *asker; /* the kind of its asker */
    struct log *log;
    /* Who asks, and on which of these. A session may end before its request does: whoever takes the
     * request out of the session's hands shares the peer. */
    const struct listeners *listeners; /* NULL: no session asks */
    struct peer peer;
    uint8_t listener;
    bool is_kept;    /* the message is a copy, and the peer is shared */
    bool is_adopted; /* the new owner of its loop has shared the peer, too */
    uint64_t session_number;
    const char *message; /* a view into the owner's input until a hold copies it */
    size_t size;
    const char *origin; /* no session asks: stands for an address; NULL: nobody knows */
    void *session_data; /* the handler's own, of the session that asks; set before the call */
    /* When the handler must have answered, had its time not stood still since, and how long it had
     * stood still when that was set: before the call. The loop's owner may postpone it later. */
    _Atomic int64_t deadline_ms;
    int64_t paused_ms;
    struct buffer copy; /* of the message, since a hold */
    size_t charge;      /* the handler's own */
    /* `reply` is the answer as soon as handle() has returned; for the thread that is in it alone.
     * It is claimed and made known only if that call is not the loop's any more. */
    bool built;
    bool last; /* the session is closed in order behind the answer; belongs to whoever gives it */
    bool no_memory; /* the answer is an error for which there was no memory: `reply` is empty */
    bool ready;     /* the asker's: it can be delivered when it is its turn */
    struct buffer reply;
    struct loop *loop;
    void *context;               /* the asker's; NULL once nobody waits for the request any more */
    STAILQ_ENTRY(request) entry; /* the asker's: among those that wait for their turn */
    /* not NULL: the asker's own answer instead of `reply`; static strings */
    const char *verdict_code;
    const char *verdict_text;
    int64_t begun_ns;  /* the asker's: since when it waits; 0: its time is not counted */
    size_t held;       /* the asker's: bytes that its reply holds until then */
    bool ends_in_crlf; /* the asker's: so did its line, and its reply will */
    struct inbox_node return_node; /* the call's way back, if it returns before the answer */
    struct inbox_node room_node;   /* the way of request_resume_session(); has a hold */
};

STAILQ_HEAD(request_queue, request);

/* Requests that the owner of a loop keeps for its next calls: a burst of late answers costs no
 * memory management. All zero, and STAILQ_INIT(), at first. */
struct request_spares {
    struct request_queue queue;
    unsigned count;
};

/* A request for calls of `handler`, for use by one thread at a time. NULL: out of memory. Before
 * its first call, `listeners` may be set, which outlive it; then request_set_peer() comes before
 * each call. */
struct request *request_new(struct handler *handler, const struct asker *asker, struct log *log);

/* Gives back a request between two calls. NULL is left alone. */
void request_free(struct request *request);

/* A reply buffer that has grown beyond this is given back, so that one large reply does not cost
 * memory for ever after. */
enum { REQUEST_KEPT_REPLY_BYTES = 64 << 10 };

/* The bit of request->state with which a call starts; the others are in request_owner.c. */
enum { REQUEST_BEGUN = 16 };

/* The part of request_start() for what its last call has left, which is rare. */
void request_clean(struct request *request);

/* Makes it ready for a call of handle() with a view of the message. Inline, since it is on the way
 * of each quick request. */
static inline void request_start(struct request *request, struct loop *loop, void *context,
                                 uint64_t session_number, const char *message, size_t size)
{
    /* Nobody else knows the request yet; the call is published with a release later. */
    atomic_store_explicit(&request->state, REQUEST_BEGUN, memory_order_relaxed);
    atomic_store_explicit(&request->holds, 1, memory_order_relaxed);
    atomic_store_explicit(&request->references, 2, memory_order_relaxed);
    request->loop = loop;
    request->context = context;
    request->session_number = session_number;
    request->message = message;
    request->size = size;
    request->verdict_code = NULL;
    request->ready = false;
    request->built = false;
    request->last = false;
    request->no_memory = false;
    request->job.cost = COST_UNKNOWN;
    buffer_clear(&request->reply);
    if (request->copy.data || request->reply.capacity > REQUEST_KEPT_REPLY_BYTES)
        request_clean(request);
}

/* Who asks, and the index of the listener on which it connected. The peer is borrowed, from the
 * session that is in its turn, until request_adopt() or a hold. */
static inline void request_set_peer(struct request *request, const struct peer *peer,
                                    uint8_t listener)
{
    request->peer = *peer;
    request->listener = listener;
}

/* The loop was taken in its call, which goes on: from now on the session may end before it. By the
 * loop's new owner, once. */
void request_adopt(struct request *request);

/* Sets the deadline, CLOCK_NEVER for none, of a request that has its session data. */
void request_set_deadline(struct request *request, int64_t at_ms, int64_t now_ms);

/* Lets the deadline come this much later. In the loop's owner. */
void request_postpone(struct request *request, int64_t ms);

/* What request_deadline_ms() returns at `now_ms`. */
int64_t request_deadline_at(const struct request *request, int64_t now_ms);

enum request_outcome {
    REQUEST_ANSWERED,  /* `reply` is there; the caller may use the request for the next call */
    REQUEST_FORGOTTEN, /* neither answered nor held: nobody will answer; as above */
    /* to be answered later: the caller queues it, detaches it, and drops the call's hold with
     * request_release() */
    REQUEST_HELD,
};

/* What came of a call whose handle() has returned in the loop's owner. */
enum request_outcome request_outcome(const struct request *request);

/* From here on the answer comes through the inbox. True: it is there already, and does not. */
bool request_detach(struct request *request);

/* Takes an answer that was given in a call which runs on, outside of the loop: it does not come
 * through the inbox then. False: there is none, or it comes that way. In the loop's owner. */
bool request_take_answer(struct request *request);

/* Takes the right to answer. False if somebody else has it: the answer is there or about to be. */
bool request_claim(struct request *request);

/* As request_claim(), and whoever answers later does so in vain, without a word in the log: the
 * asker has gone. */
bool request_cancel(struct request *request);

/* Whether it was begun, even if it is over (request_begin() in server/request.h). */
bool request_was_begun(const struct request *request);

/* Copies the message, for a call that outlives the owner's input. False: out of memory. */
bool request_keep_message(struct request *request);

/* A call outside of the loop is over, and the request is detached: drops the call's hold. If the
 * handler has kept the request to answer it later, the hold goes to the loop instead, which drops
 * it: so the asker learns that its next request may be called. */
void request_returned(struct request *request);

/* ---- in the loop's owner: what came out of the inbox ---- */

/* INBOX_ANSWER. */
void request_deliver_answer(struct inbox_node *node);

/* INBOX_RETURN. */
void request_deliver_return(struct inbox_node *node);

/* INBOX_ROOM. */
void request_deliver_room(struct inbox_node *node);

/* Each of them, if nobody owns the loop any more. */
void request_discard(struct inbox_node *node);

/* Drops the asker's reference. */
void request_unref(struct request *request);

/* The same for the owner of a loop, who may get it as a spare. */
void request_unref_to(struct request *request, struct request_spares *spares);

/* A request for the next call: a spare, or a new one. NULL: out of memory. */
struct request *request_from(struct request_spares *spares, struct handler *handler,
                             const struct asker *asker, struct log *log);

void request_spares_fini(struct request_spares *spares);

#endif
