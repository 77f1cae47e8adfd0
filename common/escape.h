/*
 * escape: text that others sent, made fit to be shown to a person.
 *
 * There is one rule for all output: control characters, bytes that are not characters, and
 * characters that reorder or break the text around them are shown as \xNN. They can then neither
 * drive a terminal, nor end a line, nor make it look like another one. The messages of both
 * programs, the server's log and the client's output all follow it; they differ in the character
 * set, and in whether tabs and line ends may stay. Escaping is for the eye: it can't be undone.
 *
 * Any thread may call these.
 */
#ifndef BANTER_COMMON_ESCAPE_H
#define BANTER_COMMON_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes the character that the `size` bytes at `text` begin with; the first byte is not ASCII.
 * Returns how many bytes it has and sets `*character` to its Unicode number; 0 when no character
 * begins there, or when it can't be shown. */
typedef size_t escape_decoder(const char *text, size_t size, uint32_t *character);

/* The decoder for UTF-8. Overlong forms, surrogates and numbers beyond U+10FFFF are not
 * characters. */
size_t escape_utf8(const char *text, size_t size, uint32_t *character);

/* Returns how many bytes at the head of `text` can be shown as they are: whole characters, and the
 * next byte, if there is one, must be escaped. `kept` are the ASCII control characters that may
 * stay, such as "\t\n". */
size_t escape_shown(const char *text, size_t size, escape_decoder *decode, const char *kept);

enum { ESCAPE_BYTE_SIZE = 4 }; /* the bytes that escape_byte() writes */

/* Writes a byte as \xNN, without a NUL. Returns the end of the text. */
char *escape_byte(char byte, char *out);

/* Writes the `size` bytes of UTF-8 at `text` for a line of which it is a part, with \n, \t, \r or
 * \xNN in the place of what can't stay: ESCAPE_BYTE_SIZE bytes for each at most, without a NUL.
 * Returns the end of the text. */
char *escape_line(const char *text, size_t size, char *out);

enum { ESCAPE_SIZE = 88 }; /* the most that escape_text() writes, with its NUL */

/* Writes the `size` bytes of UTF-8 at `text` to `out`, which has ESCAPE_SIZE bytes, for a message
 * of one line. Longer text is cut between two characters and ends in "...". Returns `out`. */
const char *escape_text(const char *text, size_t size, char *out);

#endif
