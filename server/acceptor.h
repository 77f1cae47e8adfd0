/*
 * acceptor: accepts connections and deals them to the loops in use, in turn. Where descriptors run out it
 * rests, 10 ms growing to a second, and those who are connected don't notice.
 */
#ifndef BANTER_SERVER_ACCEPTOR_H
#define BANTER_SERVER_ACCEPTOR_H

#include <stdatomic.h>
#include <stdint.h>

#include "server/listener.h"
#include "server/settings.h"

struct balance;

enum {
    ACCEPTOR_MAX_REFUSED = 16, /* sessions at a time that are only told "-ERR busy" */
};

struct acceptor {
    struct listeners listeners;
    struct balance *balance; /* whose loops they are dealt to. Not owned */
    const struct settings *settings;
    int stop_fd; /* readable: accept what waits, and return. Not owned */
    unsigned max_clients;
    atomic_uint clients; /* connected now; any thread lowers it */
    atomic_uint refused; /* being refused now; as above */
    uint64_t accepted;   /* sessions so far: the number of the last one */
};

/* Accepts until stop_fd is readable; then empties the accept queues and closes the listeners. */
void acceptor_run(struct acceptor *acceptor);

#endif
