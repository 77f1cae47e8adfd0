/*
 * state: what a session consists of, idle and active. Types only; the functions are in the files of
 * this folder, each for its part.
 *
 * Only the owner of the session's loop touches a session.
 */
#ifndef BANTER_SERVER_SESSION_STATE_H
#define BANTER_SERVER_SESSION_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buffer.h"
#include "common/frame.h"
#include "server/config.h"
#include "server/engine/cost.h"
#include "server/engine/heap.h"
#include "server/engine/loop.h"
#include "server/net/peer.h"
#include "server/request_owner.h"
#include "server/session/http.h"
#include "server/session/telnet.h"

enum {
    SESSION_MAX_PENDING = 64, /* requests of one session under way */
    /* while the replies that wait for others before them hold more, none is taken */
    SESSION_MAX_REPLIES = 16 << 20,
    /* a turn that has made this much output sends it first */
    SESSION_MAX_UNSENT = 256 << 10,
    /* what one may hold and be read while memory is short */
    SESSION_LITTLE = 16 << 10,
    /* how long the other end may take to close, at an orderly close */
    SESSION_LINGER_MS = 1000,
};

struct session;
struct pipes;

/* What a session needs only while something is under way; an idle one has none. Lent by the shard's
 * store. */
struct session_active {
    union {
        struct session *session;                 /* while it is lent */
        SLIST_ENTRY(session_active) spare_entry; /* in the store */
    };
    struct loop_item ready;        /* among those that go on without an event */
    struct frame_decoder decoder;  /* an idle session's is at the start of a message */
    struct buffer input;           /* read, not yet taken as requests */
    struct buffer output;          /* complete replies that the kernel has not taken yet */
    struct request_queue requests; /* whose replies are still to be sent, in order */
    uint16_t pending;              /* how many those are */
    bool barred;                   /* memory is short, and it is not read */
    bool chosen;            /* memory is short, and it is the one that is read all the same */
    size_t replies;         /* bytes of the replies that are there, but wait for others */
    size_t messages;        /* bytes of all those requests */
    size_t held;            /* bytes that all of this held when it was last counted */
    struct telnet telnet;   /* an idle session's is between two commands */
    struct http_line first; /* of the session's first line, if that is over the limit */
    /* draining: bytes that had been received when the stop began, and are not read yet */
    uint32_t drain_left;
    /* Requests are taken while no more than this is unsent: nothing, but of a relay
     * (session/relay.h); -1: none are. */
    int64_t unsent_allowed;
    /* the one whose call is under way outside of the loop: no other is taken before it is over */
    struct request *stalled;
    int64_t write_deadline_ms; /* while there is output */
    /* when the half received request must be complete; CLOCK_NEVER: no clock runs */
    int64_t partial_deadline_ms;
    /* what is left of its time while the server itself does not read; 0: not begun */
    int64_t partial_left_ms;
};

/* An idle session costs these bytes and no others, so each of them counts. Its shard is found by
 * its address: session_shard(). */
struct session {
    union {
        struct session_active *active;   /* NULL: idle */
        SLIST_ENTRY(session) dead_entry; /* closed: in shard->dead */
    };
    union {
        void *handler_data;  /* the handler's; it is notified when the session ends */
        struct pipes *pipes; /* the handler relays: to its program; owned; NULL: it is over */
    };
    struct peer peer;
    uint64_t number : 45;  /* from 1; 0: refused, it gets "-ERR busy" and is not counted */
    uint64_t relapses : 3; /* how often one of its calls has lost the loop, up to a bound */
    uint64_t cost : 6;     /* enum cost: what its requests cost */
    bool watches_in : 1;   /* what epoll watches */
    bool watches_out : 1;
    bool unparsed : 1; /* the input that is left over may hold complete requests */
    bool eof : 1;      /* the other end has closed its sending half */
    /* The server stops: only active->drain_left bytes are still read, and behind its last reply the
     * session is told so. */
    bool draining : 1;
    bool input_over : 1;    /* no more requests are taken; when all is sent the session is closed */
    bool closing : 1;       /* our half is closed; what still comes is thrown away */
    bool broken : 1;        /* given up: closed at the end of the turn without further ado */
    bool closed : 1;        /* waits to be freed */
    bool counted : 1;       /* among the clients that --max-clients bounds */
    uint64_t since_ms : 39; /* closing: when it began; otherwise: since when nothing has happened */
    uint64_t begun : 1;     /* the end of its first message is there, which was no HTTP */
    uint64_t listener : 7;  /* the index of the one on which it connected */
    uint64_t wrapped : 1;   /* its socket carries TLS: peer_tls() */
    uint64_t crlf : 1;      /* the last request's line ended in CR LF, not LF */
    /* how many requests were taken, if --max-requests bounds them */
    uint64_t taken : SERVER_REQUESTS_BITS;
    int fd;
    struct heap_item deadline;
};

SLIST_HEAD(session_list, session);

#endif
