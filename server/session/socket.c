/* socket: bytes that are wrapped in TLS. */
#include "server/session/socket.h"

#include "server/net/tls.h"

static struct tls_client *tls_of(const struct session *session) { return peer_tls(&session->peer); }

ssize_t socket_read_wrapped(struct session *session, void *data, size_t size)
{
    struct tls_client *tls = tls_of(session);
    return tls->library->read(tls, session->fd, data, size);
}

ssize_t socket_write_wrapped(struct session *session, const void *data, size_t size)
{
    struct tls_client *tls = tls_of(session);
    return tls->library->write(tls, session->fd, data, size);
}

bool socket_wrapper_holds(const struct session *session) { return tls_of(session)->holds; }

bool socket_wrapper_was_cut(const struct session *session) { return tls_of(session)->was_cut; }

bool socket_end_wrapper(struct session *session)
{
    struct tls_client *tls = tls_of(session);
    return tls->library->end(tls, session->fd);
}

void socket_free_wrapper(struct session *session)
{
    struct tls_client *tls = tls_of(session);
    tls->library->free(tls);
}
