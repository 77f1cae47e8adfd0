/* render: text.c and json.c make the lines; what stands in front of them is put here. */
#include "server/log/render.h"

#include <stdio.h>
#include <string.h>

#include "common/decimal.h"
#include "server/log/json.h"
#include "server/log/text.h"

enum { HEAD_BYTES = LOG_STAMP_BYTES + 8 }; /* more than what stands in front */

void log_renderer_init(struct log_renderer *renderer, struct log_style style)
{
    *renderer = (struct log_renderer){.style = style};
    log_renderer_look(renderer);
}

void log_renderer_look(struct log_renderer *renderer)
{
    if (renderer->style.format != LOG_FORMAT_TEXT)
        log_stamp_look(&renderer->stamp);
}

static size_t room(const struct log_renderer *renderer, const struct log_record *record)
{
    bool is_json = renderer->style.format == LOG_FORMAT_JSON;
    return HEAD_BYTES + (is_json ? log_json_room(record) : log_text_room(record));
}

bool log_render(struct log_renderer *renderer, struct buffer *out, const struct log_record *record)
{
    if (!buffer_reserve(out, room(renderer, record)))
        return false;
    char *begin = buffer_tail(out), *at = begin;
    if (renderer->style.has_priorities) {
        *at++ = '<';
        *at++ = (char) ('0' + log_severity(log_describe(record->event)));
        *at++ = '>';
    }
    if (renderer->style.format == LOG_FORMAT_JSON) {
        at = log_json_put(at, record, &renderer->stamp);
    } else {
        if (renderer->style.format == LOG_FORMAT_TIMED) {
            at = log_stamp_put(&renderer->stamp, at, record->time_ns);
            *at++ = ' ';
        }
        at = log_text_put(at, record);
    }
    *at++ = '\n';
    buffer_added(out, (size_t) (at - begin));
    return true;
}

/* One of the log's own lines. */
static bool render_line(struct log_renderer *renderer, struct buffer *out, int64_t time_ns,
                        enum log_event event, const char *text, size_t size)
{
    struct log_record record = {
        .time_ns = time_ns, .event = event, .text = text, .size = size, .full_size = size};
    return log_render(renderer, out, &record);
}

bool log_render_dropped(struct log_renderer *renderer, struct buffer *out, int64_t time_ns,
                        uint64_t dropped)
{
    char text[DECIMAL_MAX_DIGITS];
    return render_line(renderer, out, time_ns, LOG_DROPPED, text, decimal_print(text, dropped));
}

/* The wording of an event, up to what is different each time. */
static size_t kind_size(const char *kind)
{
    size_t size = strlen(kind);
    while (size > 0 && strchr(": ", kind[size - 1]))
        size--;
    return size;
}

bool log_render_repeated(struct log_renderer *renderer, struct buffer *out, int64_t time_ns,
                         enum log_event event, uint64_t count)
{
    char text[200];
    const struct log_description *description = log_describe(event);
    bool is_json = renderer->style.format == LOG_FORMAT_JSON;
    const char *kind = is_json ? description->event : description->before.text;
    size_t digits = decimal_print(text, count);
    int size = snprintf(text + digits, sizeof text - digits, "%c%.*s", LOG_SEPARATOR,
                        (int) kind_size(kind), kind);
    return render_line(renderer, out, time_ns, LOG_REPEATED, text, digits + (size_t) size);
}
