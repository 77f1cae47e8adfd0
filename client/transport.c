/* transport: a socket, with TLS in front of it or without. */
#include "client/transport.h"

#include <sys/socket.h>
#include <unistd.h>

void transport_init(struct transport *transport, int socket)
{
    *transport = (struct transport){.socket = socket};
}

void transport_secure(struct transport *transport, const struct tls_module *tls,
                      struct tls_session *session)
{
    transport->tls = tls;
    transport->session = session;
}

void transport_close(struct transport *transport)
{
    if (transport->socket < 0)
        return;
    if (transport->tls)
        transport->tls->free(transport->session);
    close(transport->socket);
    *transport = (struct transport){.socket = -1};
}

ssize_t transport_read(struct transport *transport, void *data, size_t size)
{
    if (transport->tls)
        return transport->tls->read(transport->session, data, size);
    return recv(transport->socket, data, size, 0);
}

ssize_t transport_write(struct transport *transport, const void *data, size_t size)
{
    if (transport->tls)
        return transport->tls->write(transport->session, data, size);
    return send(transport->socket, data, size, MSG_NOSIGNAL);
}

void transport_end(struct transport *transport)
{
    if (transport->tls)
        transport->tls->end(transport->session);
    else
        shutdown(transport->socket, SHUT_WR);
}

bool transport_has_unread(const struct transport *transport)
{
    return transport->tls && transport->tls->has_unread(transport->session);
}

bool transport_has_unsent(const struct transport *transport)
{
    return transport->tls && transport->tls->has_unsent(transport->session);
}

const char *transport_why(const struct transport *transport, bool *is_refused)
{
    *is_refused = transport->tls && transport->tls->is_refused(transport->session);
    return transport->tls ? transport->tls->why(transport->session) : NULL;
}
