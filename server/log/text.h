/*
 * text: an event as a line of the log. Text from others is escaped (common/escape.h), so that it is
 * always one line.
 *
 * No I/O and no threads: text to text. For the writer alone.
 */
#ifndef BANTER_SERVER_LOG_TEXT_H
#define BANTER_SERVER_LOG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/log/events.h"

/* Appends the event's line: the session's number in brackets (0: none), its wording, its text of
 * any bytes, escaped. If `full_size` is more than `size` the text was cut, and the line says so.
 * False, with `out` unchanged, when memory is out. */
bool log_text_append(struct buffer *out, enum log_event event, uint64_t session, const char *text,
                     size_t size, size_t full_size);

/* Appends the line that says how many more events of this kind there were within a second. False,
 * with `out` unchanged, when memory is out. */
bool log_text_append_repeated(struct buffer *out, enum log_event event, uint64_t count);

/* Appends the line that says how many lines were dropped. False, with `out` unchanged, when memory
 * is out. */
bool log_text_append_dropped(struct buffer *out, uint64_t dropped);

#endif
