/*
 * frame: messages to bytes on the wire and back, for the three codecs that both programs speak.
 *
 * Decoding is a pull interface over memory that the caller owns: put bytes behind those that are
 * left over, call frame_next() until it says FRAME_MORE, drop what it consumed. There is no I/O, no
 * callback, no allocation and no copy in here: a message is a view into the caller's bytes. The
 * outcomes do not depend on how the bytes were cut, and no byte is searched twice.
 *
 * Encoding is stateless and refuses, before a byte is written, what the codec can't represent. It
 * never escapes or strips.
 *
 * Any thread may call these; a decoder is used by one thread at a time.
 */
#ifndef BANTER_COMMON_FRAME_H
#define BANTER_COMMON_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"

enum frame_codec {
    FRAME_LINE,      /* the message, then LF; a CR right before the LF belongs to the line end */
    FRAME_NETSTRING, /* "5:Hello," */
    FRAME_RAW,       /* what one read returns is one message */
};

/* "line", "netstring" or "raw". */
const char *frame_codec_name(enum frame_codec codec);

/* False when `name` is none of the three names. */
bool frame_codec_from_name(const char *name, enum frame_codec *codec);

/* What is the same for every message of a conversation. Shared freely, never written by
 * frame_next(). */
struct frame_rules {
    enum frame_codec codec;
    size_t max_bytes; /* longest message, counted without framing; 1 and up */
    /* A word that is a message whatever max_bytes is, or NULL; not empty and without white
     * space. In FRAME_LINE any amount of ASCII white space may follow it, and the message is
     * then always the word alone, within the limit too; in FRAME_NETSTRING it is recognised
     * beyond the limit only where it is the whole message. No meaning in FRAME_RAW. */
    const char *exempt_word;
};

/* Where decoding stands between two calls. All zero is the start of a stream. Private. */
struct frame_decoder {
    size_t scanned; /* bytes at the head of the caller's data that were searched already */
    size_t length;  /* bytes thrown away of the message that is coming; netstring: as declared */
    unsigned char state;
};

enum frame_outcome {
    /* No complete message; `consumed` may still be more than 0 (bytes thrown away). */
    FRAME_MORE,
    /* A message: `message` and `size`. */
    FRAME_MESSAGE,
    /* A message passed max_bytes: told once, as soon as it is certain. */
    FRAME_OVERSIZE,
    /* That message's end: `size` is its full size. Each FRAME_OVERSIZE is followed by exactly one,
     * from frame_next() or frame_end(); no message comes in between. */
    FRAME_OVERSIZE_END,
    /* netstring: a length over max_bytes, or malformed. Sticky: the stream can't be trusted, all
     * bytes are consumed, each later call gives the same. */
    FRAME_BAD_LENGTH,
    FRAME_BAD,
    /* frame_end(): nothing was left over; or bytes without their end, never to be taken as a
     * message. */
    FRAME_END,
    FRAME_END_PARTIAL,
};

struct frame {
    /* How many bytes at the head of the data the caller must drop before the next call. */
    size_t consumed;
    /* FRAME_MESSAGE: a view into the data (or the exempt word), good while they are. */
    const char *message;
    /* FRAME_MESSAGE, FRAME_OVERSIZE_END: the message's size without framing. FRAME_BAD_LENGTH: the
     * declared length up to the digit with which it passed the limit (what follows is not waited
     * for), SIZE_MAX where it does not fit. */
    size_t size;
};

/* Looks at the `size` bytes at `data`: all that is left over from before, first, and what has
 * come since. Never returns FRAME_END or FRAME_END_PARTIAL. Call it again after every outcome
 * but FRAME_MORE and the two sticky ones.
 *
 * FRAME_RAW: the caller passes what one read returned, whole: it is one message (none for size
 * 0). Longer than max_bytes, it is FRAME_OVERSIZE, all consumed, and the next call gives
 * FRAME_OVERSIZE_END. */
enum frame_outcome frame_next(const struct frame_rules *rules, struct frame_decoder *decoder,
                              const char *data, size_t size, struct frame *frame);

/* FRAME_LINE, for speed: how many bytes at the head of the data are whole messages that are on the
 * wire, with their line ends, just as they would be sent again, and `*count`, at most `max_count`,
 * how many messages those are. A message that begins with one of the bytes in `but_not` ends the
 * block, as does one that is over the limit: it is for frame_next(). 0 where there is no such
 * message, also in the other codecs and where frame_next() has looked at a part of the data
 * already. The caller must drop these bytes. The rules must be without an exempt word. */
size_t frame_next_block(const struct frame_rules *rules, const struct frame_decoder *decoder,
                        const char *data, size_t size, const char *but_not, size_t max_count,
                        size_t *count);

/* The stream has ended with `size` bytes left over (what frame_next() has not consumed):
 * FRAME_END, FRAME_END_PARTIAL, or FRAME_OVERSIZE_END for an oversize message that ends with the
 * stream (its size counts a CR at the very end, for there is no LF). After a sticky outcome:
 * that one again. What might still have been within the limit, such as the exempt word or its
 * beginning, is FRAME_END_PARTIAL. */
enum frame_outcome frame_end(const struct frame_rules *rules, struct frame_decoder *decoder,
                             size_t size, struct frame *frame);

/* Whether some bytes of a message have been seen but not its end, `size` bytes being left over:
 * what a request's time-out is about. True also while an oversize message is being thrown away. */
bool frame_is_partial(const struct frame_decoder *decoder, size_t size);

/* Why a message can't be sent in a codec. */
enum frame_refusal {
    FRAME_FITS,
    FRAME_HAS_LF,     /* line: a line feed in the message would end it early */
    FRAME_ENDS_IN_CR, /* line: the reader would take the CR as part of the line end */
    FRAME_IS_EMPTY,   /* raw: nothing would be sent */
    FRAME_IS_TOO_LONG,
    FRAME_NO_MEMORY, /* from frame_put() alone */
};

/* What stands around a message on the wire. */
struct frame_edges {
    char head[24]; /* not NUL-terminated */
    size_t head_size;
    char tail[1];
    size_t tail_size;
};

/* Fills in what goes before and behind the message, so that a caller can send three pieces
 * without a copy; or says why it can't be sent, and then `edges` is untouched. max_bytes bounds
 * the message. */
enum frame_refusal frame_encode(enum frame_codec codec, const char *message, size_t size,
                                size_t max_bytes, struct frame_edges *edges);

/* The refusal as half a sentence about the message, such as "it holds a line feed". Static. */
const char *frame_refusal_text(enum frame_refusal refusal);

/* Appends a message with its framing to `out`. The message must be one that frame_encode() takes.
 * False, with `out` unchanged, when memory is out. */
bool frame_append(struct buffer *out, const struct frame_edges *edges, const char *message,
                  size_t size);

/* frame_encode() and frame_append() in one. `out` is unchanged unless FRAME_FITS is returned. */
enum frame_refusal frame_put(struct buffer *out, enum frame_codec codec, const char *message,
                             size_t size, size_t max_bytes);

#endif
