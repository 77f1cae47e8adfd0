/*
 * history: the lines that were entered, in readline's list and in a file that outlives the program.
 *
 * Several clients may share the file: each line is appended when it is entered, under a lock, and
 * the lines of others stay. It holds one entry a line, as typed, nothing else. Readline has one
 * history a program, and so has this module.
 */
#ifndef BANTER_CLIENT_TERMINAL_HISTORY_H
#define BANTER_CLIENT_TERMINAL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define HISTORY_LINES 10000 /* remembered, unless the user's inputrc names a number */

/* Fills readline's list, from the file if `has_file`. `path` NULL:
 * $XDG_STATE_HOME/banter/history, or ~/.local/state/banter/history. The file need not exist yet;
 * one with twice as many lines as are remembered is cut. False with `error` set if it can't be
 * read: there is a history for this run all the same, and the file is left alone from then on. */
bool history_open(bool has_file, const char *path, struct error *error);

/* Remembers a line, unless it is empty, begins with a space or repeats the last one. Creates the
 * file (0600), and the folders (0700) of the default one, if need be. False with `error` set if it
 * can't be written, once: from then on, too, the file is left alone. */
bool history_add(const char *line, size_t size, struct error *error);

/* Frees the list; the file stays. */
void history_close(void);

#endif
