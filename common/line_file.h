/*
 * line_file: a file that a person has written, with an item a line: options, or who may connect.
 *
 * Blanks at both ends of a line are no part of it. Lines that are empty then, and those that begin
 * with "#", are skipped. Lines may end in CR LF. The file is read once, to its end, when it is
 * opened; it must be a regular file, so that nothing waits for who writes a pipe.
 */
#ifndef BANTER_COMMON_LINE_FILE_H
#define BANTER_COMMON_LINE_FILE_H

#include <stddef.h>

#include "common/error.h"

struct line_file {
    const char *path; /* the caller's */
    unsigned line;    /* the number of the line that was given last; 0: none was */
    /* What line_file_rest() has found, NULL-terminated; NULL: it was not called. */
    char **rest;
    struct line_file *next; /* for a list of the caller's */

    char *text;     /* all of it, with a NUL behind it and behind each line that was given */
    char *at;       /* what is not given yet */
    unsigned taken; /* the number of lines before that */
};

/* Reads the file. NULL, with `error` set, if it can't be read, has more than `max_bytes`, or has a
 * NUL in it; the error does not name the file. line_file_close() frees it. */
struct line_file *line_file_open(const char *path, size_t max_bytes, struct error *error);

/* Frees the file and what it has given. NULL is none. */
void line_file_close(struct line_file *file);

/* The next line, or NULL at the end. It belongs to the file. */
char *line_file_next(struct line_file *file);

/* Makes `rest` of all lines that were not given yet, as they are: without their ends, but with
 * their blanks; none is skipped. Returns it; it belongs to the file. NULL: out of memory. */
char **line_file_rest(struct line_file *file);

#endif
