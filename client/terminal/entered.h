/*
 * entered: what came with one Enter: a line, or the lines of a paste.
 */
#ifndef BANTER_CLIENT_TERMINAL_ENTERED_H
#define BANTER_CLIENT_TERMINAL_ENTERED_H

#include <stdbool.h>
#include <stddef.h>

struct entered {
    char *text;       /* heap memory, owned; NULL: nothing was entered */
    const char *next; /* in `text`: the first line that was not taken; NULL: all were */
};

struct entered_line {
    const char *text; /* not NUL-terminated */
    size_t size;
};

/* Takes `text` over, in the place of what there was. */
void entered_set(struct entered *entered, char *text);
void entered_fini(struct entered *entered);

/* The next line, without taking it; false where there is none. The newline that ends a paste is not
 * the beginning of one more line. */
bool entered_peek(const struct entered *entered, struct entered_line *line);

/* Takes the line that entered_peek() gives. */
void entered_take(struct entered *entered);

/* Takes all that is left. */
void entered_drop(struct entered *entered);

#endif
