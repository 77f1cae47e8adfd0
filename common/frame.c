/*
 * frame: see frame.h.
 *
 * LINE searches for LF with one memchr() over the new bytes; it knows that there is none in the old
 * ones. NETSTRING reads each digit once and then only counts. The bytes of an oversize message are
 * consumed as they come, so that the limit bounds the caller's memory. BLOCK goes from LF to LF in
 * the same way, and counts.
 */
#include "common/frame.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/ascii.h"
#include "common/decimal.h"

/* frame_decoder.state */
enum {
    AT_START,    /* before a message, or in one that may still fit; all zero is this */
    SKIPPING,    /* FRAME_OVERSIZE was returned; `length` bytes were dropped so far */
    SKIPPING_CR, /* the same, and the last of them was a CR, perhaps of the line end */
    BEHIND_WORD, /* line: the exempt word and white space, over the limit; `length` bytes dropped */
    DECLARED,    /* netstring: `length` is known, and the payload begins at `scanned` */
    REFUSED_LENGTH, /* sticky */
    REFUSED,        /* sticky */
};

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
    frame->ends_in_crlf = line_size > 0 && lf[-1] == '\r';
    size_t message_size = line_size - frame->ends_in_crlf;
    decoder->scanned = 0;
    if (is_exempt(rules->exempt_word, data, message_size)) {
        frame->ends_in_crlf = false; /* as in skip_white(), where it is not known any more */
        return give_message(frame, data, strlen(rules->exempt_word), line_size + 1);
    }
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

/* ---- block ---- */

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
    return give_message(frame, data, frame->is_stuffed ? wire_size : size, consumed);
}

static enum frame_outcome refuse_block(struct frame_decoder *decoder, size_t size,
                                       struct frame *frame)
{
    decoder->length = SIZE_MAX;
    decoder->line = 0;
    return refuse(decoder, FRAME_BAD_LENGTH, size, frame);
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

static enum frame_outcome next_block(const struct frame_rules *rules, struct frame_decoder *decoder,
                                     const char *data, size_t size, struct frame *frame)
{
    if (decoder->state == REFUSED_LENGTH)
        return refuse(decoder, FRAME_BAD_LENGTH, size, frame);
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

enum frame_outcome frame_next(const struct frame_rules *rules, struct frame_decoder *decoder,
                              const char *data, size_t size, struct frame *frame)
{
    assert(decoder->scanned <= size);
    *frame = (struct frame){0};
    if (rules->codec > FRAME_CRLF)
        return rules->codec == FRAME_NETSTRING ? next_netstring(rules, decoder, data, size, frame)
               : rules->codec == FRAME_RAW     ? next_raw(rules, decoder, data, size, frame)
                                               : next_block(rules, decoder, data, size, frame);
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
    size_t count = decimal_print(text, size);
    text[count] = ':';
    return count + 1;
}

static enum frame_refusal check_line(const char *message, size_t size)
{
    if (size > 0 && memchr(message, '\n', size))
        return FRAME_HAS_LF;
    if (size > 0 && message[size - 1] == '\r')
        return FRAME_ENDS_IN_CR;
    return FRAME_FITS;
}

static enum frame_refusal encode_line(const char *message, size_t size, bool in_crlf,
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

static enum frame_refusal encode_block(const char *message, size_t size, bool in_crlf,
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

enum frame_refusal frame_encode(enum frame_codec codec, const char *message, size_t size,
                                size_t max_bytes, struct frame_edges *edges)
{
    if (size > max_bytes)
        return FRAME_IS_TOO_LONG;
    switch (codec) {
    case FRAME_LINE:
    case FRAME_CRLF:
        return encode_line(message, size, codec == FRAME_CRLF, edges);
    case FRAME_BLOCK:
    case FRAME_BLOCK_CRLF:
        return encode_block(message, size, codec == FRAME_BLOCK_CRLF, edges);
    case FRAME_NETSTRING:
        edges->head_size = print_length(edges->head, size);
        edges->tail[0] = ',';
        edges->tail_size = 1;
        edges->stuffing = 0;
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

/* Copies a block's lines to `at`, stuffed. Returns the end. */
static char *stuff(char *at, const char *message, size_t size, bool in_crlf)
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
        at = stuff(at, message, size, edges->tail[0] == '\r');
    else if (size > 0) /* the pointer may be NULL otherwise */
        at = mempcpy(at, message, size);
    if (edges->tail_size > 0)
        *at++ = edges->tail[0];
    if (edges->tail_size > 1)
        memcpy(at, edges->tail + 1, edges->tail_size - 1);
    buffer_added(out, total);
    return true;
}

/* Nearly every reply comes through here. */
static enum frame_refusal put_line(struct buffer *out, bool in_crlf, const char *message,
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

enum frame_refusal frame_put(struct buffer *out, enum frame_codec codec, const char *message,
                             size_t size, size_t max_bytes)
{
    if (size > max_bytes)
        return FRAME_IS_TOO_LONG;
    if (codec <= FRAME_CRLF)
        return put_line(out, codec == FRAME_CRLF, message, size);
    struct frame_edges edges = {0};
    enum frame_refusal refusal = frame_encode(codec, message, size, max_bytes, &edges);
    if (refusal == FRAME_FITS && !frame_append(out, &edges, message, size))
        return FRAME_NO_MEMORY;
    return refusal;
}
