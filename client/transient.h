/*
 * transient: a line on a terminal that comes, is drawn anew in its place, and goes.
 *
 * For what is true only for a moment. Whoever writes anything else to that terminal erases it
 * first. Embedded by value; all zero is a line that is not there.
 */
#ifndef BANTER_CLIENT_TRANSIENT_H
#define BANTER_CLIENT_TRANSIENT_H

#include <stddef.h>

struct transient {
    size_t drawn; /* columns that hold it now; 0: it is not there */
};

/* Puts the text, of `size` ASCII characters, in the place of what is there, cut to the width of the
 * terminal `fd`; in one write(2). The cursor must stand where the last draw left it, or, where the
 * line is not there, at the start of an empty line. */
void transient_draw(struct transient *transient, int fd, const char *text, size_t size);

/* Takes it away; the cursor stands at the start of the empty line. */
void transient_erase(struct transient *transient, int fd);

#endif
