/* echo: gives the request back as it is. */
#include "server/handlers/kinds.h"
#include "server/request.h"

static void echo(struct handler *handler, struct request *request)
{
    (void) handler;
    request_reply(request, request_message(request), request_size(request));
}

const struct handler_kind handler_echo = {
    .name = "echo",
    .help = "gives each request back as it is",
    .handle = echo,
};
