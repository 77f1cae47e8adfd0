/*
 * plugin_call: between the public interface banter/handler.h and the engine's own,
 * server/handler.h: one request becomes one call of a synchronous function. Plugins and the
 * handlers hello and echo are called this way. Any thread.
 */
#ifndef BANTER_SERVER_HANDLERS_PLUGIN_CALL_H
#define BANTER_SERVER_HANDLERS_PLUGIN_CALL_H

#include <banter/handler.h>

struct request;

/* Lets `functions` handle the request and answers it with what came of that. */
void plugin_call(const struct banter_handler *functions, void *state, struct request *request);

#endif
