/*
 * transport: the bytes of a connection, both ways. It knows nothing of messages, and never blocks.
 * Embedded by value.
 */
#ifndef BANTER_CLIENT_TRANSPORT_H
#define BANTER_CLIENT_TRANSPORT_H

#include <stddef.h>
#include <sys/types.h>

struct transport {
    int socket; /* to poll; -1: it is closed */
};

/* Takes over a socket that is connected and does not block. */
void transport_init(struct transport *transport, int socket);
void transport_close(struct transport *transport); /* may be called again */

/* As recv(2) and send(2): -1 with errno set, which is EAGAIN if nothing can be read or written now.
 * A read of 0 bytes is the end of what the server sends. */
ssize_t transport_read(struct transport *transport, void *data, size_t size);
ssize_t transport_write(struct transport *transport, const void *data, size_t size);

/* Says that nothing more will be written. The server may go on. */
void transport_end(struct transport *transport);

#endif
