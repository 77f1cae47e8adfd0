/*
 * frame_block: the lines of a message, and then a line that is a dot; one more dot in front of each
 * line that begins with a dot.
 *
 * It goes from LF to LF, as frame_line does, and counts what the message will be.
 */
#include "common/frame_codecs.h"

#include <stdint.h>
#include <string.h>

/* ---- decoding ---- */

/* The size of a line's part of the message: without the dot that was put in front, and without a CR
 * that belongs, or may yet belong, to its end. */
static size_t size_in_block(const char *line, size_t size)
{
    bool is_dotted = size > 0 && line[0] == '.';
    bool has_cr = size > is_dotted && line[size - 1] == '\r';
    return size - is_dotted - has_cr;
}

static bool is_dot(const char *line, size_t size)
{
    return size > 0 && line[0] == '.' && (size == 1 || (size == 2 && line[1] == '\r'));
}

/* The dot has come: the lines before it are the message. */
static enum frame_outcome give_block(struct frame_decoder *decoder, const char *data,
                                     size_t consumed, bool in_crlf, struct frame *frame)
{
    size_t wire_size = decoder->line;
    size_t size = decoder->length > 0 ? decoder->length - 1 : 0;
    frame->is_stuffed = decoder->length != wire_size;
    frame->ends_in_crlf = in_crlf;
    *decoder = (struct frame_decoder){0};
    return frame_give_message(frame, data, frame->is_stuffed ? wire_size : size, consumed);
}

static enum frame_outcome refuse_block(struct frame_decoder *decoder, size_t size,
                                       struct frame *frame)
{
    decoder->length = SIZE_MAX;
    decoder->line = 0;
    return frame_refuse(decoder, FRAME_BAD_LENGTH, size, frame);
}

/* Looks at a line that is not complete. */
static enum frame_outcome begin_block_line(const struct frame_rules *rules,
                                           struct frame_decoder *decoder, const char *data,
                                           size_t size, struct frame *frame)
{
    const char *line = size > 0 ? data + decoder->line : data;
    size_t line_size = size - decoder->line;
    decoder->scanned = size;
    /* It may yet be the dot. Anything else is a line of the message. */
    if (line_size == 0 || is_dot(line, line_size) ||
        decoder->length + size_in_block(line, line_size) <= rules->max_bytes)
        return FRAME_MORE;
    return refuse_block(decoder, size, frame);
}

enum frame_outcome frame_block_next(const struct frame_rules *rules, struct frame_decoder *decoder,
                                    const char *data, size_t size, struct frame *frame)
{
    if (decoder->state == REFUSED_LENGTH)
        return frame_refuse(decoder, FRAME_BAD_LENGTH, size, frame);
    while (decoder->scanned < size) {
        const char *line = data + decoder->line;
        const char *lf = memchr(data + decoder->scanned, '\n', size - decoder->scanned);
        if (!lf)
            break;
        size_t line_size = (size_t) (lf - line);
        size_t end = (size_t) (lf - data) + 1;
        if (is_dot(line, line_size))
            return give_block(decoder, data, end, line_size > 1, frame);
        decoder->length += size_in_block(line, line_size);
        if (decoder->length > rules->max_bytes)
            return refuse_block(decoder, size, frame);
        decoder->length++;
        decoder->line = end;
        decoder->scanned = end;
    }
    return begin_block_line(rules, decoder, data, size, frame);
}

bool frame_unstuff(struct buffer *out, const char *lines, size_t size)
{
    if (!buffer_reserve(out, size))
        return false;
    char *begin = buffer_tail(out);
    char *at = begin;
    const char *end = lines + size;
    for (const char *line = lines; line < end;) {
        const char *lf = memchr(line, '\n', (size_t) (end - line));
        size_t line_size = size_in_block(line, (size_t) (lf - line));
        if (line > lines)
            *at++ = '\n';
        at = mempcpy(at, line + (*line == '.'), line_size);
        line = lf + 1;
    }
    buffer_added(out, (size_t) (at - begin));
    return true;
}

/* ---- encoding ---- */

enum frame_refusal frame_block_encode(const char *message, size_t size, bool in_crlf,
                                      struct frame_edges *edges)
{
    size_t stuffing = 0;
    for (size_t at = 0; at < size;) {
        const char *lf = memchr(message + at, '\n', size - at);
        size_t end = lf ? (size_t) (lf - message) : size;
        if (end > at && message[end - 1] == '\r')
            return FRAME_LINE_ENDS_IN_CR;
        stuffing += (size_t) (message[at] == '.') + (lf && in_crlf);
        at = end + 1;
    }
    static const char lf_tail[] = "\n.\n";
    static const char crlf_tail[] = "\r\n.\r\n";
    const char *tail = in_crlf ? crlf_tail : lf_tail;
    if (size == 0) /* no line, so no line end before the dot */
        tail += in_crlf ? 2 : 1;
    edges->head_size = 0;
    edges->tail_size = strlen(tail);
    memcpy(edges->tail, tail, edges->tail_size);
    edges->stuffing = stuffing;
    return FRAME_FITS;
}

char *frame_block_stuff(char *at, const char *message, size_t size, bool in_crlf)
{
    bool at_start = true;
    for (size_t i = 0; i < size; i++) {
        if (at_start && message[i] == '.')
            *at++ = '.';
        at_start = message[i] == '\n';
        if (at_start && in_crlf)
            *at++ = '\r';
        *at++ = message[i];
    }
    return at;
}
