/* table: which handlers the server knows. */
#include "server/handlers/kinds.h"

const struct handler_kind *const handler_kinds[] = {&handler_hello, &handler_echo, &handler_plugin,
                                                    NULL};
