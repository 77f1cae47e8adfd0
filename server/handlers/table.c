/* table: the handlers that the server knows, in the order in which --help lists them. */
#include "server/handlers/kinds.h"

const struct handler_kind *const handler_kinds[] = {
    &handler_hello, &handler_echo, &handler_plugin, &handler_nats, &handler_program, NULL};
