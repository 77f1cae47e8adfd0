/*
 * text: every event's wording, in one place, and how what others sent is shown in a line of the
 * log.
 *
 * No I/O and no threads: text to text. For log.c alone; everybody else logs through server/log/log.h.
 */
#ifndef BANTER_SERVER_LOG_TEXT_H
#define BANTER_SERVER_LOG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/log/log.h"

/* Whether a log of this level has the event. */
bool log_text_is_wanted(enum log_event event, enum log_level level);

/* Appends the event's line: the session's number in brackets (0: none), its wording, its text of
 * any bytes, escaped. `full_size` is more than `size` where the text was cut; then the line says
 * so. Where memory is out there is no line. */
void log_text_append(struct buffer *out, enum log_event event, uint64_t session, const char *text,
                     size_t size, size_t full_size);

/* Appends the line that tells how many lines were dropped, if any were. */
void log_text_append_dropped(struct buffer *out, unsigned long dropped);

#endif
