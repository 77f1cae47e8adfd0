/*
 * frame: see frame.h.
 *
 * LINE searches for LF with one memchr() over the new bytes; it knows that there is none in the old
 * ones. NETSTRING reads each digit once and then only counts. The bytes of an oversize message are
 * consumed as they come, so that the limit bounds the caller's memory.
 */
#include "common/frame.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/ascii.h"

/* frame_decoder.state */
enum {
    AT_START,    /* before a message, or in one that may still fit; all zero is this */
    SKIPPING,    /* FRAME_OVERSIZE was returned; `length` bytes were dropped so far */
    SKIPPING_CR, /* the same, and the last of them was a CR, perhaps of the line end */
    BEHIND_WORD, /* line: the exempt word and white space, over the limit; `length` bytes dropped */
    DECLARED,    /* netstring: `length` is known, and the payload begins at `scanned` */
    REFUSED_LENGTH, /* netstring: sticky */
    REFUSED,        /* netstring: sticky */
};

static const char *const codec_names[] = {
    [FRAME_LINE] = "line",
    [FRAME_NETSTRING] = "netstring",
    [FRAME_RAW] = "raw",
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

static enum frame_outcome give_message(struct frame *frame, const char *message, size_t size,
                                       size_t consumed)
{
    frame->message = message;
    frame->size = size;
    frame->consumed = consumed;
    return FRAME_MESSAGE;
}

/* Reports that the message that begins with these bytes, without its line end, is too long. */
static enum frame_outcome start_skipping(struct frame_decoder *decoder, const char *data,
                                         size_t size, struct frame *frame)
{
    decoder->scanned = 0;
    decoder->length = size;
    decoder->state = data[size - 1] == '\r' ? SKIPPING_CR : SKIPPING;
    frame->consumed = size;
    return FRAME_OVERSIZE;
}

static enum frame_outcome end_skipping(struct frame_decoder *decoder, size_t size,
                                       struct frame *frame)
{
    frame->size = size;
    *decoder = (struct frame_decoder){0};
    return FRAME_OVERSIZE_END;
}

/* Drops what is left of an oversize line. */
static enum frame_outcome skip_line(struct frame_decoder *decoder, const char *data, size_t size,
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
    return end_skipping(decoder, decoder->length - (decoder->state == SKIPPING_CR), frame);
}

/* Drops the white space after an exempt word that is over the limit. */
static enum frame_outcome skip_white(const struct frame_rules *rules, struct frame_decoder *decoder,
                                     const char *data, size_t size, struct frame *frame)
{
    size_t white = count_white(data, size);
    if (white < size && data[white] == '\n') {
        *decoder = (struct frame_decoder){0};
        return give_message(frame, rules->exempt_word, strlen(rules->exempt_word), white + 1);
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

static enum frame_outcome next_line(const struct frame_rules *rules, struct frame_decoder *decoder,
                                    const char *data, size_t size, struct frame *frame)
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
    size_t message_size = line_size - (line_size > 0 && lf[-1] == '\r');
    decoder->scanned = 0;
    if (is_exempt(rules->exempt_word, data, message_size))
        return give_message(frame, data, strlen(rules->exempt_word), line_size + 1);
    if (message_size > rules->max_bytes)
        return start_skipping(decoder, data, line_size, frame); /* skip_line() takes the LF */
    return give_message(frame, data, message_size, line_size + 1);
}

/* The stream can't be trusted any more: nothing after this point is a message. */
static enum frame_outcome refuse(struct frame_decoder *decoder, enum frame_outcome why, size_t size,
                                 struct frame *frame)
{
    decoder->state = why == FRAME_BAD_LENGTH ? REFUSED_LENGTH : REFUSED;
    decoder->scanned = 0;
    frame->consumed = size;
    frame->size = why == FRAME_BAD_LENGTH ? decoder->length : 0;
    return why;
}

/* Whether `number`, in decimal, is `whole` or its beginning. */
static bool is_decimal_prefix(size_t number, size_t whole)
{
    while (whole > number)
        whole /= 10;
    return whole == number;
}

/* Reads digits up to the colon. FRAME_MESSAGE once the colon is there, or else the outcome for
 * frame_next(). */
static enum frame_outcome read_length(const struct frame_rules *rules,
                                      struct frame_decoder *decoder, const char *data, size_t size,
                                      struct frame *frame)
{
    size_t exempt_size = rules->exempt_word ? strlen(rules->exempt_word) : 0;
    for (; decoder->scanned < size; decoder->scanned++) {
        char byte = data[decoder->scanned];
        if (byte == ':' && decoder->scanned > 0) {
            if (decoder->length > rules->max_bytes && decoder->length != exempt_size)
                return refuse(decoder, FRAME_BAD_LENGTH, size, frame);
            decoder->scanned++;
            decoder->state = DECLARED;
            return FRAME_MESSAGE;
        }
        bool behind_zero = decoder->scanned > 0 && decoder->length == 0;
        if (byte < '0' || byte > '9' || behind_zero)
            return refuse(decoder, FRAME_BAD, size, frame);
        if (__builtin_mul_overflow(decoder->length, 10, &decoder->length) ||
            __builtin_add_overflow(decoder->length, (size_t) (byte - '0'), &decoder->length)) {
            decoder->length = SIZE_MAX;
            return refuse(decoder, FRAME_BAD_LENGTH, size, frame);
        }
        if (decoder->length > rules->max_bytes && !is_decimal_prefix(decoder->length, exempt_size))
            return refuse(decoder, FRAME_BAD_LENGTH, size, frame);
    }
    return FRAME_MORE;
}

static enum frame_outcome next_netstring(const struct frame_rules *rules,
                                         struct frame_decoder *decoder, const char *data,
                                         size_t size, struct frame *frame)
{
    if (decoder->state == REFUSED || decoder->state == REFUSED_LENGTH)
        return refuse(decoder, decoder->state == REFUSED ? FRAME_BAD : FRAME_BAD_LENGTH, size,
                      frame);
    if (decoder->state == AT_START) {
        enum frame_outcome outcome = read_length(rules, decoder, data, size, frame);
        if (outcome != FRAME_MESSAGE)
            return outcome;
    }

    const char *payload = data + decoder->scanned;
    size_t come = size - decoder->scanned;
    size_t length = decoder->length;
    /* A length over the limit has come this far only because it is that of the exempt word. */
    if (length > rules->max_bytes &&
        memcmp(payload, rules->exempt_word, come < length ? come : length) != 0)
        return refuse(decoder, FRAME_BAD_LENGTH, size, frame);
    if (come <= length)
        return FRAME_MORE;
    if (payload[length] != ',')
        return refuse(decoder, FRAME_BAD, size, frame);

    size_t consumed = decoder->scanned + length + 1;
    *decoder = (struct frame_decoder){0};
    return give_message(frame, payload, length, consumed);
}

static enum frame_outcome next_raw(const struct frame_rules *rules, struct frame_decoder *decoder,
                                   const char *data, size_t size, struct frame *frame)
{
    if (decoder->state != AT_START)
        return end_skipping(decoder, decoder->length, frame);
    if (size == 0)
        return FRAME_MORE;
    if (size <= rules->max_bytes)
        return give_message(frame, data, size, size);
    decoder->state = SKIPPING;
    decoder->length = size;
    frame->consumed = size;
    return FRAME_OVERSIZE;
}

enum frame_outcome frame_next(const struct frame_rules *rules, struct frame_decoder *decoder,
                              const char *data, size_t size, struct frame *frame)
{
    assert(decoder->scanned <= size);
    *frame = (struct frame){0};
    if (rules->codec == FRAME_NETSTRING)
        return next_netstring(rules, decoder, data, size, frame);
    if (rules->codec == FRAME_RAW)
        return next_raw(rules, decoder, data, size, frame);
    if (decoder->state == AT_START)
        return next_line(rules, decoder, data, size, frame);
    if (decoder->state == BEHIND_WORD)
        return skip_white(rules, decoder, data, size, frame);
    return skip_line(decoder, data, size, frame);
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

enum frame_outcome frame_end(const struct frame_rules *rules, struct frame_decoder *decoder,
                             size_t size, struct frame *frame)
{
    (void) rules; /* kept for symmetry: the decoder's state suffices */
    *frame = (struct frame){0};
    switch (decoder->state) {
    case SKIPPING:
    case SKIPPING_CR:
        return end_skipping(decoder, decoder->length, frame);
    case REFUSED:
        return refuse(decoder, FRAME_BAD, size, frame);
    case REFUSED_LENGTH:
        return refuse(decoder, FRAME_BAD_LENGTH, size, frame);
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

/* Writes "SIZE:" and returns its length. */
static size_t print_length(char *text, size_t size)
{
    char digits[24];
    size_t count = 0;
    do {
        digits[count++] = (char) ('0' + size % 10);
        size /= 10;
    } while (size > 0);
    for (size_t i = 0; i < count; i++)
        text[i] = digits[count - 1 - i];
    text[count] = ':';
    return count + 1;
}

enum frame_refusal frame_encode(enum frame_codec codec, const char *message, size_t size,
                                size_t max_bytes, struct frame_edges *edges)
{
    if (size > max_bytes)
        return FRAME_IS_TOO_LONG;
    switch (codec) {
    case FRAME_LINE:
        if (size > 0 && memchr(message, '\n', size))
            return FRAME_HAS_LF;
        if (size > 0 && message[size - 1] == '\r')
            return FRAME_ENDS_IN_CR;
        edges->head_size = 0;
        edges->tail[0] = '\n';
        edges->tail_size = 1;
        break;
    case FRAME_NETSTRING:
        edges->head_size = print_length(edges->head, size);
        edges->tail[0] = ',';
        edges->tail_size = 1;
        break;
    case FRAME_RAW:
        if (size == 0)
            return FRAME_IS_EMPTY;
        edges->head_size = 0;
        edges->tail_size = 0;
        break;
    }
    return FRAME_FITS;
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
    case FRAME_IS_EMPTY:
        return "it is empty";
    case FRAME_IS_TOO_LONG:
        return "it is too long";
    case FRAME_NO_MEMORY:
        return "it needs more memory than there is";
    }
    return "it can't be sent";
}

bool frame_append(struct buffer *out, const struct frame_edges *edges, const char *message,
                  size_t size)
{
    /* All the room first: then no piece can fail and leave half a frame behind. */
    size_t total = edges->head_size + size + edges->tail_size;
    if (!buffer_reserve(out, total))
        return false;
    char *at = buffer_tail(out);
    if (edges->head_size > 0)
        at = mempcpy(at, edges->head, edges->head_size);
    if (size > 0) /* the pointer may be NULL otherwise */
        at = mempcpy(at, message, size);
    if (edges->tail_size > 0)
        *at = edges->tail[0];
    buffer_added(out, total);
    return true;
}

enum frame_refusal frame_put(struct buffer *out, enum frame_codec codec, const char *message,
                             size_t size, size_t max_bytes)
{
    struct frame_edges edges;
    enum frame_refusal refusal = frame_encode(codec, message, size, max_bytes, &edges);
    if (refusal == FRAME_FITS && !frame_append(out, &edges, message, size))
        return FRAME_NO_MEMORY;
    return refusal;
}
