/*
 * telnet: the telnet commands (RFC 854) in what a client sends, taken out and answered.
 *
 * A network virtual terminal without options: each option is refused, a timing mark (RFC 860) is
 * answered, all other commands have no effect. Bytes in, bytes out: no I/O. One thread at a time.
 */
#ifndef BANTER_SERVER_SESSION_TELNET_H
#define BANTER_SERVER_SESSION_TELNET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"

/* How far a stream is; all zero is its start, and between two commands. Private. */
struct telnet {
    unsigned char state;
};

/* Takes the commands out of `size` bytes in place, and a NUL behind a CR; returns how many bytes
 * are left. A command may begin in one call and end in another. Answers are appended to `answers`;
 * `*failed` becomes true if memory is out. */
size_t telnet_filter(struct telnet *telnet, char *data, size_t size, struct buffer *answers,
                     bool *failed);

/* Whether a command has begun and is not complete. */
static inline bool telnet_is_partial(const struct telnet *telnet) { return telnet->state > 1; }

#endif
