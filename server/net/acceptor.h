/*
 * acceptor: accepts connections and deals them to the loops in use, in turn. Where descriptors run out it
 * rests, 10 ms growing to a second, and those who are connected don't notice.
 *
 * It has no thread: the owner of one loop, the first, accepts between two turns, since a thread of its
 * own would have to be woken for each connection, and then to wake that of a loop. Whoever stops the
 * server must not depend on any loop, so acceptor_stop() may come from another thread at any time.
 */
#ifndef BANTER_SERVER_NET_ACCEPTOR_H
#define BANTER_SERVER_NET_ACCEPTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/net/listener.h"
#include "server/settings.h"

struct scaler;
struct loop;
struct scratch;

enum {
    ACCEPTOR_MAX_REFUSED = 16, /* sessions at a time that are only told "-ERR busy" */
};

struct acceptor {
    struct listeners listeners;
    struct scaler *scaler; /* whose loops they are dealt to. Not owned */
    const struct settings *settings;
    int epoll_fd; /* of the loop that accepts. Not owned */
    unsigned max_clients;
    atomic_uint clients; /* connected now; any thread lowers it */
    atomic_uint refused; /* being refused now; as above */

    pthread_mutex_t lock; /* guards these two; only the stop ever contends for it */
    bool has_stopped;
    uint64_t accepted; /* sessions so far: the number of the last one */

    /* The owner's of the loop that accepts. */
    int64_t rest_until_ms; /* CLOCK_NEVER: not resting */
    int next_rest_ms;
    int64_t told_ms; /* when the log was told of a rest; 0: never */
};

/* Before anything else. */
void acceptor_init(struct acceptor *acceptor, const struct settings *settings,
                   struct scaler *scaler);

/* Closes the listeners. */
void acceptor_fini(struct acceptor *acceptor);

/* Lets this loop, which does not run yet, accept from now on. False with errno set. */
bool acceptor_start(struct acceptor *acceptor, struct loop *loop);

/* ---- in the owner of the loop that accepts; calls no handler ---- */

/* Whether what epoll reported is a listener of this acceptor, which may be NULL. */
bool acceptor_listens(const struct acceptor *acceptor, const void *reported);

/* Accepts some of those that wait at this listener; who waits longer is reported again. */
void acceptor_event(struct acceptor *acceptor, struct listener *listener, struct loop *loop,
                    struct scratch *scratch);

/* When the rest is over, in ms of CLOCK_MONOTONIC; CLOCK_NEVER where it does not rest. For NULL
 * too. */
int64_t acceptor_rests_until(const struct acceptor *acceptor);

/* Ends the rest. */
void acceptor_wake(struct acceptor *acceptor);

/* ---- in any other thread ---- */

/* Deals out all that wait, and closes the listeners. Nothing is accepted any more when it returns. */
void acceptor_stop(struct acceptor *acceptor);

#endif
