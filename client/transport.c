/* transport: a socket. */
#include "client/transport.h"

#include <sys/socket.h>
#include <unistd.h>

void transport_init(struct transport *transport, int socket)
{
    *transport = (struct transport){.socket = socket};
}

void transport_close(struct transport *transport)
{
    if (transport->socket >= 0)
        close(transport->socket);
    transport->socket = -1;
}

ssize_t transport_read(struct transport *transport, void *data, size_t size)
{
    return recv(transport->socket, data, size, 0);
}

ssize_t transport_write(struct transport *transport, const void *data, size_t size)
{
    return send(transport->socket, data, size, MSG_NOSIGNAL);
}

void transport_end(struct transport *transport) { shutdown(transport->socket, SHUT_WR); }
