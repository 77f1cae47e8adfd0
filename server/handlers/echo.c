/* echo: gives the request back as it is. */
#include <banter/handler.h>

#include "server/handlers/kinds.h"

static void echo(void *state, const char *message, size_t size, struct banter_reply *reply)
{
    (void) state;
    banter_reply_append(reply, message, size);
}

const struct banter_handler handler_echo_functions = {
    .abi = BANTER_HANDLER_ABI,
    .name = "echo",
    .handle = echo,
};
