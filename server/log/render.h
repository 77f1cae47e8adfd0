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
#include "server/log/stamp.h"

enum log_format {
    LOG_FORMAT_TEXT,
    LOG_FORMAT_TIMED, /* text, behind its time */
    LOG_FORMAT_JSON,
};

struct log_style {
    enum log_format format;
    bool has_priorities; /* each line begins with such as <6>, for systemd's journal */
};

struct log_renderer {
    struct log_style style;
    struct log_stamp stamp;
};

void log_renderer_init(struct log_renderer *renderer, struct log_style style);

/* Looks at the clock, which may have been set, if lines show times. */
void log_renderer_look(struct log_renderer *renderer);

/* Appends the line of a record. False, with `out` unchanged, when memory is out. */
bool log_render(struct log_renderer *renderer, struct buffer *out, const struct log_record *record);

/* Appends the line that says how many lines were dropped, noticed at `time_ns`. False, with `out`
 * unchanged, when memory is out. */
bool log_render_dropped(struct log_renderer *renderer, struct buffer *out, int64_t time_ns,
                        uint64_t dropped);

/* Appends the line that says how many more events of this kind there were within a second, which
 * ended at `time_ns`. False, with `out` unchanged, when memory is out. */
bool log_render_repeated(struct log_renderer *renderer, struct buffer *out, int64_t time_ns,
                         enum log_event event, uint64_t count);

#endif
