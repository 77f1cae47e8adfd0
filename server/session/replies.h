/*
 * replies: a session's replies on their way out, in the order of the requests.
 *
 * A request that can't be answered at once waits in the session's queue, and so does every later
 * one behind it. What the kernel does not take at once waits in the session's output; while it
 * does, nothing more is delivered and nothing is read: that is the back-pressure.
 */
#ifndef BANTER_SERVER_SESSION_REPLIES_H
#define BANTER_SERVER_SESSION_REPLIES_H

#include <stdbool.h>
#include <stddef.h>

/* What owed requests are told when the server can't wait for them any longer. */
#define REPLIES_STOPPING_TEXT "the server is stopping"
/* What a refused client is told. */
#define REPLIES_BUSY_TEXT "too many clients, try again later"

struct request;
struct session;
struct turn;

/* Whether replies are still to be delivered, or bytes to be sent. */
bool replies_pending(const struct session *session);
bool replies_unsent(const struct session *session);

/* Whether the next reply in order is ready and may be delivered now. */
bool replies_deliverable(const struct session *session);

/* Queues a request behind those that wait, in a session with work; its engine's reference is the queue's from now on. */
void replies_queue(struct session *session, struct request *request);

/* Queues a request whose call goes on or is answered later, and detaches it: from here on its answer
 * comes through the inbox, unless it is there already. The caller keeps the call's hold meanwhile. */
void replies_queue_late(struct session *session, struct request *request);

/* The turn's request has been answered in its call: delivers the reply, or queues it behind
 * those that wait. */
void replies_answered(struct session *session, struct turn *turn);

/* Replies with an error of the engine's in the place of the request that is being taken. `code`
 * and `text` are static or as long-lived as the server. */
void replies_error(struct session *session, struct turn *turn, const char *code, const char *text);

/* The engine answers instead of the handler, if it has not answered yet. Returns whether it did. */
bool replies_overrule(struct request *request, const char *code, const char *text);

/* Sends a frame that nobody asked for; nothing is owed. */
void replies_unasked(struct session *session, struct turn *turn, const char *code,
                     const char *text);

/* Moves ready replies into the turn's output, up to its bound. Only while nothing is unsent. */
void replies_deliver(struct session *session, struct turn *turn);

/* Sends the turn's output; what the kernel does not take is kept in the session. */
void replies_send(struct session *session, struct turn *turn);

/* Sends what was kept. */
void replies_flush(struct session *session);

/* The session closes: nobody waits for its requests any more. */
void replies_cancel(struct session *session);

#endif
