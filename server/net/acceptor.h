/*
 * acceptor: gives the connections that wait at the listeners, one after the other. If descriptors
 * or memory run out it rests, 10 ms growing to a second; those who are connected don't notice.
 *
 * It has no thread: the owner of one loop asks it for the next connection between two turns of its
 * sessions, since a thread of its own would have to be woken for each connection, and then to wake
 * that of a loop. The thread that stops the server must not depend on any loop, so acceptor_last()
 * may come from another thread at any time.
 */
#ifndef BANTER_SERVER_NET_ACCEPTOR_H
#define BANTER_SERVER_NET_ACCEPTOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/address.h"
#include "common/counter.h"
#include "server/net/listener.h"
#include "server/net/tally.h"

struct log;
struct loop;
struct proxy_header;
struct tls_client;

struct acceptor {
    struct listeners listeners;
    struct log *log;
    struct loop *loop; /* whose owner accepts; not owned. NULL: none yet */

    pthread_mutex_t lock; /* guards the next two; only the stop ever contends for it */
    bool has_stopped;
    unsigned last; /* connections given at the stop */

    /* The owner's of that loop. */
    int64_t rest_until_ms; /* CLOCK_NEVER: it does not rest */
    int next_rest_ms;
    int64_t logged_ms;    /* when a rest was last logged; 0: never */
    struct counter rests; /* so far. Read by any thread */
};

/* A connection. */
struct accepted {
    int fd;                 /* the caller's from now on */
    unsigned listener;      /* the index of the listener on which it came */
    struct address address; /* of the other end */
    /* who the client is, if a proxy tells; the caller's. NULL: it is the other end itself */
    const struct proxy_header *header;
    struct tls_client *tls; /* hands are shaken; the caller's, too. NULL: it speaks in the clear */
    /* In the lobby: whether it is counted as a client, or as one that is refused since its address
     * has too many (net/admission.h), and among its address's clients (net/tally.h). */
    bool is_counted, is_refused, is_tallied;
    struct tally_key key; /* which these are */
};

/* Before anything else, all zero before. Then `log` is set, and its listeners are opened. */
void acceptor_init(struct acceptor *acceptor);

/* Closes the listeners. */
void acceptor_fini(struct acceptor *acceptor);

/* Lets the owner of this loop, which does not run yet, accept from now on: the loop reports each
 * listener at which somebody waits (LOOP_LISTENER). False with errno set. */
bool acceptor_start(struct acceptor *acceptor, struct loop *loop);

/* ---- in the owner of that loop ---- */

/* The next connection that waits at this listener. False: there is none now. */
bool acceptor_next(struct acceptor *acceptor, const struct listener *listener,
                   struct accepted *accepted);

/* A connection could not be served, for the reason in errno (EMFILE, ENOMEM...): begins a rest,
 * which is logged at most once a second. acceptor_next() does so itself if accept(2) fails. */
void acceptor_rest(struct acceptor *acceptor);

/* What was accepted is served: the next rest, if one comes, begins at its shortest. */
void acceptor_recover(struct acceptor *acceptor);

/* When the rest is over, in ms of CLOCK_MONOTONIC; CLOCK_NEVER if it does not rest. */
static inline int64_t acceptor_rests_until(const struct acceptor *acceptor)
{
    return acceptor->rest_until_ms;
}

/* Ends the rest. */
void acceptor_wake(struct acceptor *acceptor);

/* ---- in any thread, at the stop ---- */

/* The last connections: from the first call on nobody else accepts, and each call gives one that
 * still waits. False: there is none, and the listeners are closed. */
bool acceptor_last(struct acceptor *acceptor, struct accepted *accepted);

#endif
