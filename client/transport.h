/*
 * transport: the bytes of a connection, both ways, in the clear or through TLS. It knows nothing of
 * messages, and never blocks. Embedded by value.
 */
#ifndef BANTER_CLIENT_TRANSPORT_H
#define BANTER_CLIENT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "client/tls_module.h"

struct transport {
    int socket;                   /* to poll; -1: it is closed */
    const struct tls_module *tls; /* NULL: in the clear */
    struct tls_session *session;
};

/* Takes over a socket that is connected and does not block. */
void transport_init(struct transport *transport, int socket);

/* Goes on through TLS, over a session that has shaken hands, and takes it over. */
void transport_secure(struct transport *transport, const struct tls_module *tls,
                      struct tls_session *session);

void transport_close(struct transport *transport); /* may be called again */

/* As recv(2) and send(2): -1 with errno set, which is EAGAIN if nothing can be read or written now.
 * A read of 0 bytes is the end of what the server sends. What a write has taken may still have to
 * be sent: a write of nothing does that. */
ssize_t transport_read(struct transport *transport, void *data, size_t size);
ssize_t transport_write(struct transport *transport, const void *data, size_t size);

/* Says that nothing more will be written. The server may go on. */
void transport_end(struct transport *transport);

/* Whether a read would give something that poll(2) does not know of; whether a write would send
 * something even if nothing is given to it. */
bool transport_has_unread(const struct transport *transport);
bool transport_has_unsent(const struct transport *transport);

/* After a read has failed through TLS: half a sentence, and whether the server does not trust us,
 * and has done nothing of what was sent. In the clear NULL: errno is all that there is to say. */
const char *transport_why(const struct transport *transport, bool *is_refused);

#endif
