/*
 * escape: text that somebody gave us, made fit to be shown in a one-line message.
 *
 * Control characters, bytes that are no UTF-8, and what reorders or hides text become \xNN, so that
 * they can neither break the line nor drive a terminal nor make it look like another one; and long
 * text is cut, so that what stands behind it in the message is still seen. For the eye: it is not
 * reversible.
 */
#ifndef BANTER_COMMON_ESCAPE_H
#define BANTER_COMMON_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ESCAPE_SIZE 88 /* what escape_text() writes at most, its NUL included */

/* Writes the `size` bytes at `text` to `out`, which has ESCAPE_SIZE bytes; cut text ends in "...".
 * UTF-8 is not cut inside a character. Returns `out`. */
const char *escape_text(const char *text, size_t size, char *out);

/* Whether a character of Unicode is one that reorders or hides text: printable by itself, but with it
 * a line can be made to look like another one. */
bool escape_is_deceptive(uint32_t character);

#endif
