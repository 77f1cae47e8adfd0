/*
 * reflow: terminals that wrap their lines anew when the width changes. Readline looks for its line
 * where it was before; after that it stands in more rows, or in fewer.
 */
#ifndef BANTER_CLIENT_TERMINAL_REFLOW_H
#define BANTER_CLIENT_TERMINAL_REFLOW_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the terminal is known to do so, by the environment. No is the safe guess: rows are left
 * over, but nothing is erased that stands above the line. */
bool reflow_is_known(void);

/* How many rows a cursor behind these `size` bytes, which readline has shown from the start of a
 * row, stands below the first of them, if a row had `before` columns and has `now`. */
size_t reflow_rows(const char *text, size_t size, size_t before, size_t now);

#endif
