/*
 * plugin_call: between the engine's interface, server/handler.h, and the public one,
 * banter/handler.h: turns a request into one call of a synchronous function. Plugins and the
 * handlers hello and echo are called this way. Any thread may call it.
 */
#ifndef BANTER_SERVER_HANDLERS_PLUGIN_CALL_H
#define BANTER_SERVER_HANDLERS_PLUGIN_CALL_H

#include <banter/handler.h>

struct request;

/* Calls handle() of `functions`, and answers the request with the reply that it made. */
void plugin_call(const struct banter_handler *functions, void *state, struct request *request);

#endif
