/*
 * nats/message: what comes to the link's thread: messages of others, and tasks.
 */
#ifndef BANTER_SERVER_NATS_MESSAGE_H
#define BANTER_SERVER_NATS_MESSAGE_H

#include <stddef.h>

#include "server/engine/inbox.h"

/* One that has come. Good for the call. */
struct link_message {
    const char *subject;
    const char *reply; /* the subject for its answer; "": there is none */
    const char *data;
    size_t size;
    unsigned status; /* 0; WORDS_NOBODY without `error`: nobody serves it; else a service's error */
    const char *error; /* what that error says; NULL: it is none */
};

struct link_task {
    struct inbox_node node; /* first; the link's until it runs */
    void (*run)(void *context, struct link_task *task);
    void *context;
};

#endif
