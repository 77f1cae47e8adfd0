/*
 * deadlines: when a session has waited long enough, for a request's end, an answer, room to send, a
 * client that says nothing, or one that does not close. Says what is due; what is done about it is
 * the turn's (session/turn).
 *
 * Each session has one entry in the loop's heap, for the earliest of its deadlines. Only the owner
 * of the session's loop calls these.
 */
#ifndef BANTER_SERVER_SESSION_DEADLINES_H
#define BANTER_SERVER_SESSION_DEADLINES_H

#include <stdbool.h>

#include "server/session/state.h"

/* Lets the time of a half received request run, stand still or end, by the session's state. */
void deadlines_update_partial(struct session *session);

/* Puts the session's next deadline into the heap, if it comes before the one that is in there. One
 * that moves away, as it does with each request, costs nothing: the old entry comes first, nothing
 * is due then, and this is called again. */
void deadlines_arm(struct session *session);

/* The same for a time that the caller has worked out; CLOCK_NEVER: there is none. */
void deadlines_put(struct session *session, int64_t at_ms);

/* The whole process has stood still for this long: lets the session's deadlines come later. */
void deadlines_postpone(struct session *session, int64_t ms);

enum due {
    DUE_NOTHING, /* the deadline has moved away */
    DUE_LINGER,  /* the other end has not closed */
    DUE_WRITE,   /* the client has read nothing */
    DUE_IDLE,    /* the client has said nothing */
    DUE_ACTIVE,  /* a request's end or an answer */
};

/* What is due, by the loop's last complete look at its sockets, of a session whose deadline has
 * come out of the heap. */
enum due deadlines_due(const struct session *session);

/* Whether the time is over by which the kernel had to take some of the output. */
bool deadlines_write_is_over(const struct session *session);

#endif
