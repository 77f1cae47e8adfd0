/*
 * output: a session's replies on their way out, in the order of the requests.
 *
 * A request that can't be answered at once waits in the session's queue, and so does every later
 * one behind it. What the kernel does not take at once waits in the session's output; while it
 * does, nothing more is delivered and nothing is read: that is the back-pressure.
 */
#ifndef BANTER_SERVER_SESSION_OUTPUT_H
#define BANTER_SERVER_SESSION_OUTPUT_H

#include <stdbool.h>

#include "server/session/scratch.h"
#include "server/session/state.h"

/* Of "-ERR stopping", and of the answer to a begun request for which a stop can't wait longer. */
#define OUTPUT_STOPPING_TEXT "the server is stopping"
/* Of the first, where one session alone is closed. */
#define OUTPUT_CLOSING_TEXT "the server closes this connection"

/* Whether replies are still to be delivered, or bytes to be sent. */
static inline bool output_pending(const struct session *session)
{
    return session->active && !STAILQ_EMPTY(&session->active->requests);
}

static inline bool output_unsent(const struct session *session)
{
    return session->active && buffer_size(&session->active->output) > 0;
}

/* Whether the next reply in order is ready and may be delivered now. */
bool output_deliverable(const struct session *session);

/* Queues the request that was taken last behind those that wait, in an active session; its asker's
 * reference is the queue's from now on. */
void output_queue(struct session *session, struct request *request);

/* Queues a request whose call goes on or that is answered later, and detaches it: from here on its
 * answer comes through the inbox, unless it is there already. The caller keeps the call's hold
 * meanwhile. */
void output_queue_late(struct session *session, struct request *request);

/* The answer of a queued request is there. */
void output_ready(struct session *session, struct request *request);

/* The turn's request has been answered in its call: delivers the reply, or queues it behind those
 * that wait. */
void output_answered(struct session *session, struct scratch *scratch);

/* Replies with an error of the server's in the place of the request that is being taken. `code` and
 * `text` are static or as long-lived as the server. */
void output_error(struct session *session, struct scratch *scratch, const char *code,
                  const char *text);

/* Answers a request instead of the handler, if that has not yet. Returns whether it did. */
bool output_overrule(struct request *request, const char *code, const char *text);

/* Sends a frame that nobody asked for, with the line end of the last request; nothing is owed. */
void output_unasked(struct session *session, struct scratch *scratch, const char *code,
                    const char *text);

/* Tells a draining session that it is over, behind all that it was owed: in a codec in which
 * that can't run together with a reply, and if it is no relay. */
void output_tell_stop(struct session *session);

/* Frames a line that comes unasked from the session's program, with the line end of the last
 * request; or the error that takes the place of one that can't be sent, for that reason. */
void output_line(struct session *session, struct scratch *scratch, const char *text, size_t size);
void output_unsendable(struct session *session, struct scratch *scratch, enum frame_refusal why);

/* Moves ready replies into the turn's output, up to its bound. Only while nothing is unsent. */
void output_deliver(struct session *session, struct scratch *scratch);

/* Sends the turn's output; what the kernel does not take is kept in the session. Only while nothing
 * is unsent. */
void output_send(struct session *session, struct scratch *scratch);

/* Keeps the turn's output in the session, behind what is unsent. */
void output_keep(struct session *session, struct scratch *scratch);

/* Sends what was kept. Returns whether that was all. */
bool output_flush(struct session *session);

/* The stop can't wait longer: answers what is owed, up to the last request that was begun, and
 * drops what is behind it, which will not be. Returns whether there was any of that. */
bool output_refuse(struct session *session);

/* The session closes: nobody waits for its requests any more. */
void output_cancel(struct session *session);

/* Says that nothing comes any more, behind all that was sent. Returns whether that is done; if not,
 * something is unsent. */
bool output_end(struct session *session);

#endif
