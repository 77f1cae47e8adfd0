/*
 * render: records as lines of the log.
 *
 * No I/O and no threads. For the writer alone.
 */
#ifndef BANTER_SERVER_LOG_RENDER_H
#define BANTER_SERVER_LOG_RENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/log/record.h"

/* Appends the line of a record. False, with `out` unchanged, when memory is out. */
bool log_render(struct buffer *out, const struct log_record *record);

/* Appends the line that says how many lines were dropped, noticed at `time_ns`. False, with `out`
 * unchanged, when memory is out. */
bool log_render_dropped(struct buffer *out, int64_t time_ns, uint64_t dropped);

/* Appends the line that says how many more events of this kind there were within a second, which
 * ended at `time_ns`. False, with `out` unchanged, when memory is out. */
bool log_render_repeated(struct buffer *out, int64_t time_ns, enum log_event event, uint64_t count);

#endif
