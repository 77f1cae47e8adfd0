/*
 * session: one client's conversation with the server, idle or active. Requests come in
 * (session/input), are answered (session/dispatch), replies go out in the order of the requests
 * (session/output), and what waits too long is ended (session/deadlines); a turn (session/turn) is
 * what the loop's owner does for one session before it looks at the next. Here is what all of those
 * share.
 *
 * Only the owner of the session's loop calls these.
 */
#ifndef BANTER_SERVER_SESSION_SESSION_H
#define BANTER_SERVER_SESSION_SESSION_H

#include <stdbool.h>

#include "server/handler.h"
#include "server/log/log.h"
#include "server/session/shard.h"
#include "server/session/state.h"

/* Whether nothing is owed, unsent, half received or still to be looked at. */
bool session_is_idle(const struct session *session);

/* Whether its client talks to a program of its own (session/relay.h). */
static inline bool session_is_relay(const struct session *session)
{
    return session->pipes && session_shard(session)->shared->settings.config.handler->relays;
}

/* Whether a request, or a telnet command, has begun and is not complete, as far as it was read and
 * looked at. */
static inline bool session_is_partial(const struct session_active *active)
{
    return frame_is_partial(&active->decoder, buffer_size(&active->input)) ||
           telnet_is_partial(&active->telnet);
}

/* It takes no more requests, for a reason of its own: a stop has nothing more to say to it. */
static inline void session_end_input(struct session *session)
{
    session->input_over = true;
    session->draining = false;
}

/* The rules of its requests. */
static inline const struct frame_rules *session_rules(const struct session *session)
{
    return &session_shard(session)->shared->settings.rules;
}

/* What the session needs while it is active, made if there is none. NULL: out of memory, and the
 * session is broken. */
struct session_active *session_activate(struct session *session);

/* Counts what an active session holds, and from that, if memory is short, whether it is read. */
void session_count_held(struct session *session);

/* Gives that back, with what is in it; a session that has none is left alone. */
void session_deactivate(struct session *session);

/* Gives the session up: it is closed at the end of its turn. `why` is logged; NULL if the client
 * has gone, which its closing shows. */
void session_break(struct session *session, const char *why);

/* Who is at the other end. */
void session_describe_peer(const struct session *session, struct peer_text *text);

/* Logs an event of the session whose text is the address of its peer; when it has connected, with
 * its identity, if it has one. */
void session_log_peer(struct session *session, enum log_event event);

#endif
