/*
 * relay: a session whose client talks to a program of its own: lines go both ways as they come. Its
 * turns are those of any session (session/turn.h); here is what is different in them.
 *
 * The two directions don't wait for each other. The client is not read while its program has left
 * 256 KiB of lines unread, and the program is not while the client has left that much.
 *
 * The client's end of stream or its quit word ends the program's input. Then the program has
 * --drain-timeout to say the rest; its own end ends the session at any time. Without its program
 * the session is like any other, and closes when all is sent.
 *
 * Only the owner of the session's loop calls these, of a session that is a relay
 * (session_is_relay()).
 */
#ifndef BANTER_SERVER_SESSION_RELAY_H
#define BANTER_SERVER_SESSION_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "server/session/scratch.h"
#include "server/session/state.h"

/* The session is to be a relay from here on: asks the handler for a program. False: out of memory,
 * and it is not. */
bool relay_begin(struct session *session);

/* The program runs. */
void relay_started(struct session *session);

/* The program is not talked to any more, and the session is no relay. */
void relay_end(struct session *session);

/* What epoll reported of the pipes: reads once what the program has written, if the client takes
 * it. False: there is nothing to do. */
bool relay_event(struct session *session, struct scratch *scratch, uint32_t events);

/* The same without an event, once the program's process has ended. */
void relay_read_rest(struct session *session, struct scratch *scratch);

/* At the end of a turn: writes to the program, and works out what is waited for in addition to what
 * other sessions wait for. If the program has ended, the session is no relay from here on. */
void relay_go_on(struct session *session);

enum relay_due {
    RELAY_DUE_NOTHING, /* the deadline has moved away */
    RELAY_DUE_WRITE,   /* the client has read nothing */
    RELAY_DUE_PARTIAL, /* a request's end has not come */
    RELAY_DUE_END,     /* the client has ended, and the program goes on */
    RELAY_DUE_IDLE,    /* neither has said anything */
};

/* What is due of a relay whose deadline has come out of the heap. */
enum relay_due relay_due(struct session *session);

/* The server stops. */
void relay_drain(struct session *session);

#endif
