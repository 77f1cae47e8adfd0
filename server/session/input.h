/*
 * input: a session's input on its way to the handler: read, cut into requests, dispatched one by
 * one.
 */
#ifndef BANTER_SERVER_SESSION_INPUT_H
#define BANTER_SERVER_SESSION_INPUT_H

#include <stdbool.h>

#include "server/session/scratch.h"
#include "server/session/state.h"

/* Whether the session may take another request now (as far as its own state goes). */
bool input_open(const struct session *session);

/* Whether the session waits for bytes from its socket. */
bool input_wants_bytes(const struct session *session);

/* Reads once, if `readable` and nothing complete is left over, and dispatches each complete request
 * until the input, or the turn, is used up. False: the loop was taken during a call. */
bool input_run(struct session *session, struct scratch *scratch, bool readable);

/* Nothing more is taken from the input. Half a request that is left over, if any, is answered with
 * why its end won't come, or with nothing if `why` is NULL. A request that was too long has its
 * answer already. */
void input_end(struct session *session, struct scratch *scratch, const char *why);

#endif
