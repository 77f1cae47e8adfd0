/*
 * paste: what came with one Enter: a line, or the lines of a paste.
 */
#ifndef BANTER_CLIENT_TERMINAL_PASTE_H
#define BANTER_CLIENT_TERMINAL_PASTE_H

#include <stdbool.h>
#include <stddef.h>

struct paste {
    char *text;       /* heap memory, owned; NULL: nothing was entered */
    const char *next; /* in `text`: the first line that was not taken; NULL: all were */
};

struct paste_line {
    const char *text; /* not NUL-terminated */
    size_t size;
};

/* Takes `text` over, in the place of what there was. */
void paste_set(struct paste *paste, char *text);
void paste_fini(struct paste *paste);

/* The next line, without taking it; false where there is none. The newline that ends a paste is not
 * the beginning of one more line. */
bool paste_peek(const struct paste *paste, struct paste_line *line);

/* Takes the line that paste_peek() gives. */
void paste_take(struct paste *paste);

/* Takes all that is left. */
void paste_drop(struct paste *paste);

#endif
