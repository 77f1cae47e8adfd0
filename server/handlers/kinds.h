/* kinds: the handlers that are built in. */
#ifndef BANTER_SERVER_HANDLERS_KINDS_H
#define BANTER_SERVER_HANDLERS_KINDS_H

#include "server/handler.h"

extern const struct handler_kind handler_hello;
extern const struct handler_kind handler_echo;

#endif
