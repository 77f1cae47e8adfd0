/*
 * frame_line: lines, for FRAME_LINE and FRAME_CRLF. Nearly every message is one.
 *
 * It searches for LF with one memchr() over the new bytes, and knows that there is none in the old
 * ones.
 */
#include "common/frame_codecs.h"

#include <assert.h>
#include <string.h>

#include "common/ascii.h"

/* ---- decoding ---- */

/* How many bytes at the head of `data` are white space, up to a line feed. */
static size_t count_white(const char *data, size_t size)
{
    size_t count = 0;
    while (count < size && data[count] != '\n' && ascii_is_white(data[count]))
        count++;
    return count;
}

/* Whether `data` is the word and then nothing but white space. `word` may be NULL. */
static bool is_exempt(const char *word, const char *data, size_t size)
{
    /* The first byte decides for nearly every message. */
    if (!word || size == 0 || data[0] != word[0])
        return false;
    size_t word_size = strlen(word);
    return size >= word_size && memcmp(data, word, word_size) == 0 &&
           count_white(data + word_size, size - word_size) == size - word_size;
}

/* Reports that the message that begins with these bytes, without its LF, is too long. */
static enum frame_outcome start_skipping(struct frame_decoder *decoder, const char *data,
                                         size_t size, struct frame *frame)
{
    decoder->scanned = 0;
    decoder->length = size;
    decoder->state = data[size - 1] == '\r' ? SKIPPING_CR : SKIPPING;
    frame->consumed = size;
    return FRAME_OVERSIZE;
}

enum frame_outcome frame_line_skip(struct frame_decoder *decoder, const char *data, size_t size,
                                   struct frame *frame)
{
    const char *lf = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t line_size = lf ? (size_t) (lf - data) : size;
    if (line_size > 0)
        decoder->state = data[line_size - 1] == '\r' ? SKIPPING_CR : SKIPPING;
    decoder->length += line_size;
    frame->consumed = line_size;
    if (!lf)
        return FRAME_MORE;

    frame->consumed++;
    return frame_end_skipping(decoder, decoder->length - (decoder->state == SKIPPING_CR), frame);
}

enum frame_outcome frame_line_skip_white(const struct frame_rules *rules,
                                         struct frame_decoder *decoder, const char *data,
                                         size_t size, struct frame *frame)
{
    size_t white = count_white(data, size);
    if (white < size && data[white] == '\n') {
        *decoder = (struct frame_decoder){0};
        return frame_give_message(frame, rules->exempt_word, strlen(rules->exempt_word), white + 1);
    }
    decoder->length += white;
    frame->consumed = white;
    if (white == size)
        return FRAME_MORE;

    /* Not SKIPPING_CR, whatever the last byte was: the next one is not an LF. */
    decoder->state = SKIPPING;
    return FRAME_OVERSIZE;
}

/* `size` bytes of a line have come without its end, and they are over the limit. */
static enum frame_outcome pass_limit(const struct frame_rules *rules, struct frame_decoder *decoder,
                                     const char *data, size_t size, struct frame *frame)
{
    const char *word = rules->exempt_word;
    if (is_exempt(word, data, size)) {
        decoder->scanned = 0;
        decoder->length = size;
        decoder->state = BEHIND_WORD;
        frame->consumed = size;
        return FRAME_MORE;
    }
    if (word && size < strlen(word) && memcmp(data, word, size) == 0)
        return FRAME_MORE;
    return start_skipping(decoder, data, size, frame);
}

FRAME_INLINED enum frame_outcome frame_line_next(const struct frame_rules *rules,
                                                 struct frame_decoder *decoder, const char *data,
                                                 size_t size, struct frame *frame)
{
    if (decoder->scanned == size)
        return FRAME_MORE;
    const char *lf = memchr(data + decoder->scanned, '\n', size - decoder->scanned);
    if (!lf) {
        decoder->scanned = size;
        if (size <= rules->max_bytes)
            return FRAME_MORE;
        /* One byte too many, a CR, may yet belong to the line end. */
        if (size - rules->max_bytes == 1 && data[size - 1] == '\r')
            return FRAME_MORE;
        return pass_limit(rules, decoder, data, size, frame);
    }

    size_t line_size = (size_t) (lf - data);
    frame->ends_in_crlf = line_size > 0 && lf[-1] == '\r';
    size_t message_size = line_size - frame->ends_in_crlf;
    decoder->scanned = 0;
    if (is_exempt(rules->exempt_word, data, message_size)) {
        frame->ends_in_crlf = false; /* as in frame_line_skip_white(), where it is unknown */
        return frame_give_message(frame, data, strlen(rules->exempt_word), line_size + 1);
    }
    if (message_size > rules->max_bytes)
        return start_skipping(decoder, data, line_size, frame); /* frame_line_skip() takes the LF */
    return frame_give_message(frame, data, message_size, line_size + 1);
}

size_t frame_next_lines(const struct frame_rules *rules, const struct frame_decoder *decoder,
                        const char *data, size_t size, const char *but_not, size_t max_count,
                        size_t *count)
{
    assert(!rules->exempt_word);
    *count = 0;
    if (rules->codec != FRAME_LINE || decoder->state != AT_START || decoder->scanned > 0)
        return 0;
    const char *at = data;
    size_t left = size;
    while (left > 0 && *count < max_count) {
        /* strchr() also finds a NUL. */
        const char *lf = !strchr(but_not, *at) ? memchr(at, '\n', left) : NULL;
        if (!lf || (size_t) (lf - at) > rules->max_bytes || (lf > at && lf[-1] == '\r'))
            break;
        left -= (size_t) (lf + 1 - at);
        at = lf + 1;
        ++*count;
    }
    return size - left;
}

/* ---- encoding ---- */

static enum frame_refusal check_line(const char *message, size_t size)
{
    if (size > 0 && memchr(message, '\n', size))
        return FRAME_HAS_LF;
    if (size > 0 && message[size - 1] == '\r')
        return FRAME_ENDS_IN_CR;
    return FRAME_FITS;
}

enum frame_refusal frame_line_encode(const char *message, size_t size, bool in_crlf,
                                     struct frame_edges *edges)
{
    enum frame_refusal refusal = check_line(message, size);
    if (refusal != FRAME_FITS)
        return refusal;
    edges->head_size = 0;
    edges->tail[0] = in_crlf ? '\r' : '\n';
    edges->tail[1] = '\n';
    edges->tail_size = 1 + (size_t) in_crlf;
    edges->stuffing = 0;
    return FRAME_FITS;
}

enum frame_refusal frame_line_put(struct buffer *out, bool in_crlf, const char *message,
                                  size_t size)
{
    enum frame_refusal refusal = check_line(message, size);
    if (refusal != FRAME_FITS)
        return refusal;
    if (!buffer_reserve(out, size + 2))
        return FRAME_NO_MEMORY;
    char *at = buffer_tail(out);
    if (size > 0)
        at = mempcpy(at, message, size);
    if (in_crlf)
        *at++ = '\r';
    *at = '\n';
    buffer_added(out, size + 1 + in_crlf);
    return FRAME_FITS;
}
