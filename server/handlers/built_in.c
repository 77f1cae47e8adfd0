/* built_in: the kinds of the handlers that are written as plugins, but linked into the server. */
#include "server/handlers/kinds.h"
#include "server/handlers/plugin_call.h"

static void handle_hello(struct handler *handler, struct request *request)
{
    plugin_call(&handler_hello_functions, handler->state, request);
}

static void handle_echo(struct handler *handler, struct request *request)
{
    plugin_call(&handler_echo_functions, handler->state, request);
}

const struct handler_kind handler_hello = {
    .name = "hello",
    .usage = "hello",
    .help = "greets: Zack gets Hello ZACK",
    .handle = handle_hello,
    .is_brief = true,
};

const struct handler_kind handler_echo = {
    .name = "echo",
    .usage = "echo",
    .help = "gives each request back as it is",
    .handle = handle_echo,
    .is_brief = true,
};
