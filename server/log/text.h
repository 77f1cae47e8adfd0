/*
 * text: an event as a line that people read. Text from others is escaped (common/escape.h), so that
 * it is always one line.
 *
 * No I/O and no threads: text to text. For the writer alone.
 */
#ifndef BANTER_SERVER_LOG_TEXT_H
#define BANTER_SERVER_LOG_TEXT_H

#include <stddef.h>

#include "server/log/record.h"

/* More bytes than the line of this record has. */
size_t log_text_room(const struct log_record *record);

/* Writes the session's number in brackets, if there is one, and the event in its wording, without a
 * newline. If the text was cut, the line says so. Returns the end of the line. */
char *log_text_put(char *at, const struct log_record *record);

#endif
