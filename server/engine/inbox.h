/*
 * inbox: how other threads pass things to a loop without a lock. Any number of threads push; the
 * loop's owner takes everything at once. Intrusive: a node is embedded in what is sent, and belongs
 * to the inbox from the push until it is taken.
 */
#ifndef BANTER_SERVER_ENGINE_INBOX_H
#define BANTER_SERVER_ENGINE_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>

/* What a node is embedded in, or what it asks for; server/serve.c acts on each. */
enum inbox_kind {
    INBOX_TRANSFER, /* a connected socket, from the acceptor or from another loop */
    INBOX_ANSWER,   /* a request that was answered late */
    INBOX_RETURN,   /* a call outside of the loop has returned; its request is answered later */
    INBOX_ROOM,     /* the session of a request may be read again */
    INBOX_RESUME,   /* the handler is not full any more */
    INBOX_RELIEVE,  /* descriptors are needed */
    INBOX_STOP,     /* begin to drain */
    INBOX_INQUIRY,  /* somebody wants something of the sessions */
    /* A session's program runs, or does not; its process has ended (server/stream.h). */
    INBOX_STREAM_STARTED,
    INBOX_STREAM_ENDED,
};

struct inbox_node {
    struct inbox_node *next;
    enum inbox_kind kind;
};

/* All zero is an empty inbox. */
struct inbox {
    _Atomic(struct inbox_node *) newest;
};

/* Returns true if the inbox was empty: then, and only then, the owner must be woken. */
bool inbox_push(struct inbox *inbox, struct inbox_node *node);

/* The same for several at once: from the newest on, each one's `next` is the one before it, down to
 * the oldest. */
bool inbox_push_chain(struct inbox *inbox, struct inbox_node *newest, struct inbox_node *oldest);

/* Takes all nodes, the oldest first; NULL if there are none. Owner only. */
struct inbox_node *inbox_take_all(struct inbox *inbox);

#endif
