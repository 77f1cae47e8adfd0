/*
 * session: one client's conversation with the server. Requests come in (intake.h), replies go out
 * in the order of the requests (replies.h), and what waits too long is ended (deadlines.h); here is
 * its life, its turn, and what it waits for.
 *
 * A turn is what a loop does for one session before it looks at the next: send what is ready, read
 * once, call the handler for the requests that are complete, send once. What a session waits for
 * (readable, writable, a deadline) is worked out from its state at the end of each turn, in one
 * place.
 *
 * Only the owner of the session's loop calls these.
 */
#ifndef BANTER_SERVER_SESSION_SESSION_H
#define BANTER_SERVER_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/frame.h"
#include "server/engine/cost.h"
#include "server/net/peer.h"
#include "server/session/store.h"
#include "server/engine/heap.h"

struct pool_thread;
struct loop;
struct request;
struct scratch;

enum {
    SESSION_MAX_PENDING = 64, /* requests of one session under way */
    /* a turn that has made so many bytes of output sends them first */
    SESSION_MAX_UNSENT = 256 << 10,
    /* how long the other end may take to close, at an orderly close */
    SESSION_LINGER_MS = 1000,
};

/* What a session needs only while something is under way; an idle one has none. Lent by the
 * loop's session_store. */
struct session_active {
    struct session *session;
    struct frame_decoder decoder; /* an idle session's is at the start of a message */
    struct buffer input;          /* read, not yet taken as requests */
    struct buffer output;         /* complete replies that the kernel has not taken yet */
    struct request *first, *last; /* requests whose replies are still to be sent, in order */
    unsigned pending;             /* how many those are */
    /* draining: bytes that had been received when the stop began, and are not read yet */
    uint32_t drain_left;
    /* the one that is being called outside of the loop: no other is taken before the call is over */
    struct request *stalled;
    int64_t write_deadline_ms; /* while there is output */
    /* when the half received request must be complete; CLOCK_NEVER: no clock runs */
    int64_t partial_deadline_ms;
    /* what is left of its time while the server itself does not read; 0: not begun */
    int64_t partial_left_ms;
    /* the loop's list of those that run again */
    struct session_active *again_next, *again_previous;
    bool queued; /* it is in there */
};

/* An idle session costs these bytes and no others, so each of them counts. Its loop is told by
 * session_loop(). */
struct session {
    union {
        struct session_active *active; /* NULL: idle */
        struct session *next_dead; /* closed */
    };
    void *handler_data; /* the handler's own; it is told when the session ends */
    struct peer peer;
    uint64_t number : 48; /* from 1; 0: refused, it gets "-ERR busy" and is not counted */
    uint64_t cost : 6;    /* enum cost: how long its requests take */
    bool watches_in : 1;  /* what epoll watches */
    bool watches_out : 1;
    bool unparsed : 1;      /* the input that is left over may hold complete requests */
    bool eof : 1;           /* the other end has closed its sending half */
    bool draining : 1;      /* only active->drain_left bytes are still read */
    bool input_over : 1;    /* no more requests are taken; when all is sent the session is closed */
    bool closing : 1;       /* our half is closed; what still comes is thrown away */
    bool broken : 1;        /* given up: closed at the end of the turn without further ado */
    bool closed : 1;        /* waits to be freed */
    bool counted : 1;       /* among the clients that --max-clients bounds */
    uint64_t since_ms : 48; /* closing: when it began; otherwise: since when nothing has happened */
    uint64_t listener : 16; /* on which it connected */
    int fd;
    struct heap_item deadline;
};

/* Begins its work in its loop: its number, socket, peer and listener are set (server/session/transfer.h).
 * `is_new`: it has not been in another loop before. */
void session_begin(struct session *session, bool is_new, struct scratch *scratch);

/* Gives back a closed session's memory. */
void session_free(struct session *session);

/* What epoll reported. False: the loop was taken away and must not be touched any more. */
bool session_event(struct session *session, struct pool_thread *thread, uint32_t events);

/* A turn without an event; as above. */
bool session_turn(struct session *session, struct pool_thread *thread, bool readable);

/* One of its requests has become ready; `cost` is what was learned from it, or COST_UNKNOWN. */
void session_answered(struct session *session, enum cost cost);

/* The call of its request outside of the loop has returned; the answer comes later. */
void session_returned(struct session *session);

/* The handler is not full any more. */
void session_resume(struct session *session);

/* Its timer has gone off. */
void session_timer(struct session *session, struct scratch *scratch);

/* The server stops: what has been received is still served. */
void session_drain(struct session *session, struct scratch *scratch);

/* The drain's time is over: all that is owed is refused. */
void session_refuse(struct session *session);

/* Closes at once. Its memory stays until the loop's batch is over, and session_free(). */
void session_close(struct session *session);

/* Takes it out of its loop, as a part of its close or of its way to another loop: the socket, still
 * open, is the caller's; its memory stays as above. */
void session_leave(struct session *session);

/* The loop was taken from the thread with this turn, in a call of its session: moves what the
 * turn had finished into the session. */
void session_adopt(struct scratch *from);

/* ---- for intake.c, replies.c and deadlines.c ---- */

/* Whether nothing is owed, unsent, half received or still to be looked at. */
bool session_is_idle(const struct session *session);

/* Gives the session up; the reason is logged. */
void session_break(struct session *session, const char *why);

/* The session's active, made where there is none. NULL: out of memory, and the session is broken. */
struct session_active *session_activate(struct session *session);

#endif
