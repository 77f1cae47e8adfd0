/*
 * color: whether the terminal has colours, by its description in terminfo(5).
 */
#ifndef BANTER_CLIENT_COLOR_H
#define BANTER_CLIENT_COLOR_H

#include <stdbool.h>

/* Whether terminals of this type, as TERM has it (may be NULL), have colours. One that is not
 * described here has none. */
bool color_is_known(const char *term);

#endif
