/*
 * status_line: a line on a terminal for what is true only now: it appears, is redrawn in place, and
 * goes. Also the words for something that takes its time.
 *
 * Erase the line before anything else is written to that terminal.
 */
#ifndef BANTER_CLIENT_STATUS_LINE_H
#define BANTER_CLIENT_STATUS_LINE_H

#include <stddef.h>
#include <stdint.h>

/* ---- the line ---- */

/* Embedded by value; all zero is a line that is not shown. */
struct status_line {
    size_t drawn; /* columns that it covers now; 0: it is not shown */
};

/* Replaces what is shown by `size` ASCII characters, cut to the width of the terminal `fd`, in one
 * write(2). The cursor must be where the last draw left it or, if the line is not shown, at the
 * start of an empty line. */
void status_line_draw(struct status_line *line, int fd, const char *text, size_t size);

/* Removes it; the cursor is at the start of the empty line. */
void status_line_erase(struct status_line *line, int fd);

/* ---- the words for a wait ---- */

#define STATUS_LINE_TEXT_SIZE 120

/* Writes "VERB 1.2 s; HINT" to `text`, which has STATUS_LINE_TEXT_SIZE bytes; the time comes first,
 * since a narrow terminal cuts the line. Returns the length; 0, with nothing written, before the
 * wait is worth a word. */
size_t status_line_wait_text(int64_t waited_ms, const char *verb, const char *hint, char *text);

/* In how many milliseconds, at least 1, the text will be another one. */
int status_line_next_ms(int64_t waited_ms);

#endif
