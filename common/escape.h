/*
 * escape: text that somebody gave us, made fit to be shown in a one-line message.
 *
 * Control bytes become \xNN, so that they can neither break the line nor drive a terminal, and long
 * text is cut, so that what stands behind it in the message is still seen. For the eye: it is not
 * reversible.
 */
#ifndef BANTER_COMMON_ESCAPE_H
#define BANTER_COMMON_ESCAPE_H

#include <stddef.h>

#define ESCAPE_SIZE 88 /* what escape_text() writes at most, its NUL included */

/* Writes the `size` bytes at `text` to `out`, which has ESCAPE_SIZE bytes; cut text ends in "...".
 * Other bytes than control bytes are kept as they are, and UTF-8 is not cut inside a character.
 * Returns `out`. */
const char *escape_text(const char *text, size_t size, char *out);

#endif
