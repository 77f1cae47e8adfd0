/*
 * paste: the text that one Enter sends, a line or the lines of a paste, taken line by line.
 * Embedded by value; all zero holds nothing.
 */
#ifndef BANTER_CLIENT_TERMINAL_PASTE_H
#define BANTER_CLIENT_TERMINAL_PASTE_H

#include <stdbool.h>
#include <stddef.h>

#include "client/options.h"
#include "common/buffer.h"

#define PASTE_AS_IT_IS '\\' /* in front of a line: the rest of it is sent as it is */

struct paste {
    char *text;       /* heap memory, owned, or NULL */
    const char *next; /* in `text`: the first line that was not taken; NULL: all were */
};

struct paste_line {
    const char *text; /* not NUL-terminated */
    size_t size;
};

/* Takes `text` over, in place of the present one. */
void paste_set(struct paste *paste, char *text);
void paste_fini(struct paste *paste);

/* Adds a line to `text` that sends this request if it is entered. False if memory is out. */
bool paste_append(struct buffer *text, const struct options *options, const char *request,
                  size_t size);

/* Puts lines, of paste_append(), in front of what is left. False if memory is out. */
bool paste_put_back(struct paste *paste, const struct buffer *text);

/* The next line, without taking it; false if there is none. The newline that ends a paste does not
 * begin another line. */
bool paste_peek(const struct paste *paste, struct paste_line *line);

/* Takes the line that paste_peek() gives. */
void paste_take(struct paste *paste);

/* Takes all that is left. */
void paste_drop(struct paste *paste);

/* Walks through the requests that are left: the lines up to one that means quit. Takes none. Calls
 * `visit`, or NULL, for each, and counts them. Whether a line means quit. */
bool paste_walk(const struct paste *paste, const struct options *options,
                void (*visit)(const struct paste_line *line), size_t *count);

#endif
