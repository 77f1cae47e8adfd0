/* kinds: the handlers that the server comes with. */
#ifndef BANTER_SERVER_HANDLERS_KINDS_H
#define BANTER_SERVER_HANDLERS_KINDS_H

#include <banter/handler.h>

#include "server/handler.h"

/* Written as plugins are. */
extern const struct banter_handler handler_hello_functions;
extern const struct banter_handler handler_echo_functions;

extern const struct handler_kind handler_hello;
extern const struct handler_kind handler_echo;
extern const struct handler_kind handler_plugin;
extern const struct handler_kind handler_nats;    /* needs handler_spec.nats */
extern const struct handler_kind handler_program; /* needs handler_spec.program */

#endif
