/*
 * deadlines: when a session has waited long enough, for a request's end, an answer, room to send, a
 * client that says nothing, or one that does not close; and what happens then.
 *
 * Each session has one timer, for the earliest of its deadlines. Only the owner of the session's loop
 * calls these.
 */
#ifndef BANTER_SERVER_SESSION_DEADLINES_H
#define BANTER_SERVER_SESSION_DEADLINES_H

#include <stdbool.h>

struct session;
struct scratch;

/* Lets the time of a half received request run, stand still or end, by the session's state. */
void deadlines_update_partial(struct session *session);

/* Arms the session's timer, where its next deadline comes before the time it is armed for. */
void deadlines_arm(struct session *session);

/* The session's timer has gone off: does what is due, if anything is. False: nothing was, or the
 * session is closed; otherwise its turn is still to be ended. */
bool deadlines_pass(struct session *session, struct scratch *scratch);

#endif
