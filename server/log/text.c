/*
 * text: see text.h.
 */
#include "server/log/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"

enum { FIXED_BYTES = 200 }; /* more than a line has without its text */

#define WORDING(name, level, always, before, after, counter) [LOG_##name] = {before, after},
static const struct wording {
    const char *before, *after;
} wordings[LOG_EVENTS] = {LOG_EVENT_TABLE(WORDING)};
#undef WORDING

static char *put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char) ('0' + number % 10);
        number /= 10;
    } while (number);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

bool log_text_append(struct buffer *out, enum log_event event, uint64_t session, const char *text,
                     size_t size, size_t full_size)
{
    const struct wording *wording = &wordings[event];
    if (!buffer_reserve(out, FIXED_BYTES + ESCAPE_BYTE_SIZE * size))
        return false;
    char *at = buffer_tail(out);
    if (session) {
        *at++ = '[';
        at = put_number(at, session);
        *at++ = ']';
        *at++ = ' ';
    }
    at = stpcpy(at, wording->before);
    at = escape_line(text, size, at);
    if (full_size > size) {
        at = stpcpy(at, "... (");
        at = put_number(at, full_size);
        at = stpcpy(at, " bytes)");
    }
    at = stpcpy(at, wording->after);
    *at++ = '\n';
    buffer_added(out, (size_t) (at - buffer_tail(out)));
    return true;
}

bool log_text_append_repeated(struct buffer *out, enum log_event event, uint64_t count)
{
    char line[FIXED_BYTES];
    const char *kind = wordings[event].before;
    int kind_size = (int) strlen(kind);
    while (kind_size > 0 && strchr(": ", kind[kind_size - 1]))
        kind_size--;
    int size = snprintf(line, sizeof line, "%" PRIu64 " more within a second: %.*s\n", count,
                        kind_size, kind);
    return buffer_append(out, line, (size_t) size);
}

bool log_text_append_dropped(struct buffer *out, uint64_t dropped)
{
    char line[80];
    int size = snprintf(line, sizeof line, "%" PRIu64 " lines of this log were dropped\n", dropped);
    return buffer_append(out, line, (size_t) size);
}
