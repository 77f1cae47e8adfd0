/*
 * dispatch: a request on its way to the handler: whether it is called here, in the loop, or in the
 * executor, and what comes of it. The only place that calls handle().
 */
#ifndef BANTER_SERVER_SESSION_DISPATCH_H
#define BANTER_SERVER_SESSION_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "server/engine/job.h"
#include "server/session/scratch.h"
#include "server/session/state.h"

/* Gives the session's next request to the handler: a view of `size` bytes of the turn's input; or,
 * of a relay, to its program, and nothing is owed for it. In the session's turn only. True: it was
 * answered, or is queued to be answered later. False: the loop was taken in the call, and must not
 * be touched any more. */
bool dispatch(struct session *session, struct scratch *scratch, const char *message, size_t size);

/* The new owner of a loop that was taken from the thread with this scratch: moves what that turn
 * had finished into the session, and queues the request whose call goes on. */
void dispatch_adopt(struct session *session, struct scratch *from, const struct call_sample *stall);

/* What the executor does with requests. */
extern const struct job_ops dispatch_job_ops;

#endif
