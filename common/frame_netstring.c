/*
 * frame_netstring: "5:Hello,". Each digit is read once; from then on it only counts.
 */
#include "common/frame_codecs.h"

#include <stdint.h>
#include <string.h>

#include "common/decimal.h"

/* ---- decoding ---- */

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
                return frame_refuse(decoder, FRAME_BAD_LENGTH, size, frame);
            decoder->scanned++;
            decoder->state = DECLARED;
            return FRAME_MESSAGE;
        }
        bool behind_zero = decoder->scanned > 0 && decoder->length == 0;
        if (byte < '0' || byte > '9' || behind_zero)
            return frame_refuse(decoder, FRAME_BAD, size, frame);
        if (__builtin_mul_overflow(decoder->length, 10, &decoder->length) ||
            __builtin_add_overflow(decoder->length, (size_t) (byte - '0'), &decoder->length)) {
            decoder->length = SIZE_MAX;
            return frame_refuse(decoder, FRAME_BAD_LENGTH, size, frame);
        }
        if (decoder->length > rules->max_bytes && !is_decimal_prefix(decoder->length, exempt_size))
            return frame_refuse(decoder, FRAME_BAD_LENGTH, size, frame);
    }
    return FRAME_MORE;
}

enum frame_outcome frame_netstring_next(const struct frame_rules *rules,
                                        struct frame_decoder *decoder, const char *data,
                                        size_t size, struct frame *frame)
{
    if (decoder->state == REFUSED || decoder->state == REFUSED_LENGTH)
        return frame_refuse(decoder, decoder->state == REFUSED ? FRAME_BAD : FRAME_BAD_LENGTH, size,
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
        return frame_refuse(decoder, FRAME_BAD_LENGTH, size, frame);
    if (come <= length)
        return FRAME_MORE;
    if (payload[length] != ',')
        return frame_refuse(decoder, FRAME_BAD, size, frame);

    size_t consumed = decoder->scanned + length + 1;
    *decoder = (struct frame_decoder){0};
    return frame_give_message(frame, payload, length, consumed);
}

/* ---- encoding ---- */

/* Writes "SIZE:" and returns its length. */
static size_t print_length(char *text, size_t size)
{
    size_t count = decimal_print(text, size);
    text[count] = ':';
    return count + 1;
}

void frame_netstring_encode(size_t size, struct frame_edges *edges)
{
    edges->head_size = print_length(edges->head, size);
    edges->tail[0] = ',';
    edges->tail_size = 1;
    edges->stuffing = 0;
}
