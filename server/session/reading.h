/*
 * reading: the bytes that a turn works on: what its session had left over, then what is read. How
 * they are cut into requests is session/input's.
 */
#ifndef BANTER_SERVER_SESSION_READING_H
#define BANTER_SERVER_SESSION_READING_H

#include <stdbool.h>
#include <stddef.h>

#include "server/session/scratch.h"
#include "server/session/state.h"

enum { READING_BYTES = 64 << 10 /* room for one read */ };

/* Begins the turn's input, scratch->reading, with what an active session has left over. False: the
 * session is broken. */
bool reading_begin(struct session *session, struct scratch *scratch);

/* Gives what is left over of it back to the session. Returns whether that is the beginning of a
 * large message: READING_BYTES or more. */
bool reading_end(struct session *session, struct scratch *scratch);

/* Reads once, and takes telnet commands out. */
void reading_once(struct session *session, struct scratch *scratch);

/* Reads once, at most `bound` bytes, and nothing else. Returns how many came; 0 also at the end of
 * the stream, and if the session is broken. */
size_t reading_up_to(struct session *session, struct buffer *input, size_t bound);

/* `bound`, or less: while draining, only what had been received when the stop began is read. */
size_t reading_bound(const struct session *session, size_t bound);

#endif
