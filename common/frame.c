/*
 * frame: which codec does it, and what all of them have in common. FRAME_RAW, which needs next to
 * nothing, is here too.
 */
#include "common/frame.h"

#include <assert.h>
#include <string.h>

#include "common/frame_codecs.h"

/* ---- names ---- */

static const char *const codec_names[] = {
    [FRAME_LINE] = "line",        [FRAME_CRLF] = "crlf",           [FRAME_BLOCK] = "block",
    [FRAME_BLOCK_CRLF] = "block", [FRAME_NETSTRING] = "netstring", [FRAME_RAW] = "raw",
};

const char *frame_codec_name(enum frame_codec codec) { return codec_names[codec]; }

bool frame_codec_from_name(const char *name, enum frame_codec *codec)
{
    for (size_t i = 0; i < sizeof codec_names / sizeof codec_names[0]; i++) {
        if (strcmp(name, codec_names[i]) == 0) {
            *codec = (enum frame_codec) i;
            return true;
        }
    }
    return false;
}

const char *frame_refusal_text(enum frame_refusal refusal)
{
    switch (refusal) {
    case FRAME_FITS:
        return "it fits";
    case FRAME_HAS_LF:
        return "it holds a line feed";
    case FRAME_ENDS_IN_CR:
        return "it ends in a carriage return";
    case FRAME_LINE_ENDS_IN_CR:
        return "it has a line that ends in a carriage return";
    case FRAME_IS_EMPTY:
        return "it is empty";
    case FRAME_IS_TOO_LONG:
        return "it is too long";
    case FRAME_NO_MEMORY:
        return "it needs more memory than there is";
    }
    return "it can't be sent";
}

/* ---- decoding ---- */

static enum frame_outcome next_raw(const struct frame_rules *rules, struct frame_decoder *decoder,
                                   const char *data, size_t size, struct frame *frame)
{
    if (decoder->state != AT_START)
        return frame_end_skipping(decoder, decoder->length, frame);
    if (size == 0)
        return FRAME_MORE;
    if (size <= rules->max_bytes)
        return frame_give_message(frame, data, size, size);
    decoder->state = SKIPPING;
    decoder->length = size;
    frame->consumed = size;
    return FRAME_OVERSIZE;
}

FRAME_INLINED enum frame_outcome frame_next(const struct frame_rules *rules,
                                            struct frame_decoder *decoder, const char *data,
                                            size_t size, struct frame *frame)
{
    assert(decoder->scanned <= size);
    *frame = (struct frame){0};
    if (rules->codec > FRAME_CRLF)
        return rules->codec == FRAME_NETSTRING
                   ? frame_netstring_next(rules, decoder, data, size, frame)
               : rules->codec == FRAME_RAW ? next_raw(rules, decoder, data, size, frame)
                                           : frame_block_next(rules, decoder, data, size, frame);
    if (decoder->state == AT_START)
        return frame_line_next(rules, decoder, data, size, frame);
    if (decoder->state == BEHIND_WORD)
        return frame_line_skip_white(rules, decoder, data, size, frame);
    return frame_line_skip(decoder, data, size, frame);
}

enum frame_outcome frame_end(const struct frame_rules *rules, struct frame_decoder *decoder,
                             size_t size, struct frame *frame)
{
    (void) rules; /* kept for symmetry: the decoder's state suffices */
    *frame = (struct frame){0};
    switch (decoder->state) {
    case SKIPPING:
    case SKIPPING_CR:
        return frame_end_skipping(decoder, decoder->length, frame);
    case REFUSED:
        return frame_refuse(decoder, FRAME_BAD, size, frame);
    case REFUSED_LENGTH:
        return frame_refuse(decoder, FRAME_BAD_LENGTH, size, frame);
    default:
        frame->consumed = size;
        return frame_is_partial(decoder, size) ? FRAME_END_PARTIAL : FRAME_END;
    }
}

bool frame_is_partial(const struct frame_decoder *decoder, size_t size)
{
    return size > 0 || decoder->state == SKIPPING || decoder->state == SKIPPING_CR ||
           decoder->state == BEHIND_WORD;
}

/* ---- encoding ---- */

enum frame_refusal frame_encode(enum frame_codec codec, const char *message, size_t size,
                                size_t max_bytes, struct frame_edges *edges)
{
    if (size > max_bytes)
        return FRAME_IS_TOO_LONG;
    switch (codec) {
    case FRAME_LINE:
    case FRAME_CRLF:
        return frame_line_encode(message, size, codec == FRAME_CRLF, edges);
    case FRAME_BLOCK:
    case FRAME_BLOCK_CRLF:
        return frame_block_encode(message, size, codec == FRAME_BLOCK_CRLF, edges);
    case FRAME_NETSTRING:
        frame_netstring_encode(size, edges);
        break;
    case FRAME_RAW:
        if (size == 0)
            return FRAME_IS_EMPTY;
        edges->head_size = 0;
        edges->tail_size = 0;
        edges->stuffing = 0;
        break;
    }
    return FRAME_FITS;
}

bool frame_append(struct buffer *out, const struct frame_edges *edges, const char *message,
                  size_t size)
{
    /* All the room first: then no piece can fail and leave half a frame behind. */
    size_t total = edges->head_size + size + edges->stuffing + edges->tail_size;
    if (!buffer_reserve(out, total))
        return false;
    char *at = buffer_tail(out);
    if (edges->head_size > 0)
        at = mempcpy(at, edges->head, edges->head_size);
    if (edges->stuffing > 0)
        at = frame_block_stuff(at, message, size, edges->tail[0] == '\r');
    else if (size > 0) /* the pointer may be NULL otherwise */
        at = mempcpy(at, message, size);
    if (edges->tail_size > 0)
        *at++ = edges->tail[0];
    if (edges->tail_size > 1)
        memcpy(at, edges->tail + 1, edges->tail_size - 1);
    buffer_added(out, total);
    return true;
}

/* Apart from frame_put(): the edges on its stack would cost every line a check of the stack. */
static __attribute__((noinline)) enum frame_refusal put_edged(struct buffer *out,
                                                              enum frame_codec codec,
                                                              const char *message, size_t size,
                                                              size_t max_bytes)
{
    struct frame_edges edges = {0};
    enum frame_refusal refusal = frame_encode(codec, message, size, max_bytes, &edges);
    if (refusal == FRAME_FITS && !frame_append(out, &edges, message, size))
        return FRAME_NO_MEMORY;
    return refusal;
}

enum frame_refusal frame_put(struct buffer *out, enum frame_codec codec, const char *message,
                             size_t size, size_t max_bytes)
{
    if (size > max_bytes)
        return FRAME_IS_TOO_LONG;
    if (codec <= FRAME_CRLF)
        return frame_line_put(out, codec == FRAME_CRLF, message, size);
    return put_edged(out, codec, message, size, max_bytes);
}
