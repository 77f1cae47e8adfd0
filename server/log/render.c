/* render: text.c makes the lines. */
#include "server/log/render.h"

#include <stdio.h>
#include <string.h>

#include "common/decimal.h"
#include "server/log/text.h"

bool log_render(struct buffer *out, const struct log_record *record)
{
    if (!buffer_reserve(out, log_text_room(record)))
        return false;
    char *at = log_text_put(buffer_tail(out), record);
    *at++ = '\n';
    buffer_added(out, (size_t) (at - buffer_tail(out)));
    return true;
}

/* One of the log's own lines. */
static bool render_line(struct buffer *out, int64_t time_ns, enum log_event event, const char *text,
                        size_t size)
{
    struct log_record record = {
        .time_ns = time_ns, .event = event, .text = text, .size = size, .full_size = size};
    return log_render(out, &record);
}

bool log_render_dropped(struct buffer *out, int64_t time_ns, uint64_t dropped)
{
    char text[DECIMAL_MAX_DIGITS];
    return render_line(out, time_ns, LOG_DROPPED, text, decimal_print(text, dropped));
}

/* The wording of an event, up to what is different each time. */
static size_t kind_size(const char *before)
{
    size_t size = strlen(before);
    while (size > 0 && strchr(": ", before[size - 1]))
        size--;
    return size;
}

bool log_render_repeated(struct buffer *out, int64_t time_ns, enum log_event event, uint64_t count)
{
    char text[200];
    const char *kind = log_describe(event)->before;
    size_t digits = decimal_print(text, count);
    int size = snprintf(text + digits, sizeof text - digits, "%c%.*s", LOG_SEPARATOR,
                        (int) kind_size(kind), kind);
    return render_line(out, time_ns, LOG_REPEATED, text, digits + (size_t) size);
}
