/*
 * json: an event as a line that programs read: an object (RFC 8259) whose keys are the names in the
 * table of events.
 *
 * It is printable, too: what may not be shown to people (common/escape.h) is written \uNNNN. A text
 * that is not UTF-8 is written in base64 (RFC 4648), and its key ends in _base64.
 *
 * No I/O and no threads: text to text. For the writer alone.
 */
#ifndef BANTER_SERVER_LOG_JSON_H
#define BANTER_SERVER_LOG_JSON_H

#include <stddef.h>

#include "server/log/record.h"
#include "server/log/stamp.h"

/* More bytes than the line of this record has. */
size_t log_json_room(const struct log_record *record);

/* Writes the object, without a newline. If the text was cut it is cut between two characters, and
 * the key bytes has its full size. Returns the end. */
char *log_json_put(char *at, const struct log_record *record, struct log_stamp *stamp);

#endif
