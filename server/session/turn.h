/*
 * turn: what a loop's owner does for one session before it looks at the next: send what is ready,
 * read once, dispatch the requests that are complete, send once. What the session waits for then
 * (readable, writable, a deadline) is worked out from its state at the end of each turn, in one
 * place.
 *
 * Only the owner of the session's loop calls these. Those that return a bool return false if the
 * loop was taken in a handler's call: then it must not be touched any more.
 */
#ifndef BANTER_SERVER_SESSION_TURN_H
#define BANTER_SERVER_SESSION_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "server/request_owner.h"
#include "server/net/admission.h"
#include "server/session/scratch.h"
#include "server/session/state.h"

/* ---- these may call the handler ---- */

/* What epoll reported. */
bool turn_event(struct session *session, struct scratch *scratch, uint32_t events);

/* A turn without an event, of one that was ready. */
bool turn_ready(struct session *session, struct scratch *scratch);

/* ---- these do not ---- */

/* What epoll reported of the pipes of a session that is, or was, a relay (session/relay.h). */
void turn_pipes_event(struct session *session, struct scratch *scratch, uint32_t events);

/* A session begins its life in its shard. `is_new`: it has not been in another one before. */
void turn_begin(struct session *session, bool is_new);

/* The same for one that is refused: it gets these words, and is closed in order. */
void turn_begin_refused(struct session *session, const struct admission_words *words,
                        struct scratch *scratch);

/* The same for a new session that is to be a relay. */
void turn_begin_relay(struct session *session);

/* Its deadline has come out of the heap. */
void turn_deadline(struct session *session, struct scratch *scratch);

/* The handler is not full any more. */
void turn_resume(struct session *session);

/* The handler says something of a relay's program: INBOX_STREAM_STARTED, INBOX_STREAM_ENDED. */
void turn_stream(struct inbox_node *node, struct scratch *scratch);

/* The server stops, or this session is to end: what has been received is still served. */
void turn_drain(struct session *session, struct scratch *scratch);

/* The drain's time is over: what is owed is refused as far as it was begun, and nothing else is;
 * a relay's program has said its last. */
void turn_refuse(struct session *session);

/* The loop was taken from this thread, in a turn that had come to a handler's call: moves what the
 * turn had finished into its session. */
void turn_adopt(struct pool_thread *from);

/* Sessions as askers. */
extern const struct asker turn_asker;

#endif
