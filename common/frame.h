/*
 * frame: messages to bytes on the wire and back, for the codecs that both programs speak.
 *
 * Decoding is a pull interface over memory that the caller owns: add new bytes after those left
 * over, call frame_next() until it returns FRAME_MORE, and drop the bytes it consumed. There is no
 * I/O, no callback, no allocation and no copy: a message is a view into the caller's bytes. The
 * outcomes do not depend on how the bytes were cut, and no byte is searched twice.
 *
 * Encoding is stateless. It refuses what the codec can't represent before a byte is written, and
 * never strips. The one thing that is ever escaped is a dot at the start of a line of a block.
 *
 * Any thread may call these; a decoder is used by one thread at a time.
 */
#ifndef BANTER_COMMON_FRAME_H
#define BANTER_COMMON_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"

/* Each codec with LF at its lines' ends comes before the same one with CR LF: frame_codec_ending().
 * What is decoded may end its lines in LF or CR LF, whichever of the two it is. */
enum frame_codec {
    FRAME_LINE, /* the message, then LF; a CR just before the LF belongs to the line end */
    FRAME_CRLF, /* the same, but what is sent ends in CR LF */
    /* Replies only: the message's lines, then a line that is a dot. In front of a line that begins
     * with a dot there is one more. No message is no line. Its requests are FRAME_LINE. */
    FRAME_BLOCK,
    FRAME_BLOCK_CRLF, /* the same, but each line that is sent ends in CR LF */
    FRAME_NETSTRING,  /* "5:Hello," */
    FRAME_RAW,        /* the bytes that one read returns are one message */
};

/* What users may choose from, for their errors and helps. */
#define FRAME_CODEC_NAMES "line, crlf, block, netstring or raw"

/* One of FRAME_CODEC_NAMES; FRAME_BLOCK_CRLF is a "block" too. */
const char *frame_codec_name(enum frame_codec codec);

/* False if `name` is none of FRAME_CODEC_NAMES. */
bool frame_codec_from_name(const char *name, enum frame_codec *codec);

/* The codec of the requests whose replies are in `codec`. */
static inline enum frame_codec frame_codec_of_requests(enum frame_codec codec)
{
    return codec == FRAME_BLOCK || codec == FRAME_BLOCK_CRLF ? FRAME_LINE : codec;
}

/* Whether a message in this codec is one line: it can't have a newline in it. */
static inline bool frame_codec_is_one_line(enum frame_codec codec)
{
    return codec == FRAME_LINE || codec == FRAME_CRLF;
}

/* The codec of a frame whose lines end as those of another one do (frame.ends_in_crlf): false in
 * FRAME_NETSTRING and FRAME_RAW, which have no line ends. */
static inline enum frame_codec frame_codec_ending(enum frame_codec codec, bool in_crlf)
{
    return (enum frame_codec)(codec | (unsigned) in_crlf);
}

/* The same for every message of a conversation. Shared freely; frame_next() never writes to it. */
struct frame_rules {
    enum frame_codec codec;
    size_t max_bytes; /* longest message, counted without framing; 1 and up */
    /* A word that is a message whatever max_bytes is, or NULL. It is not empty and has no white
     * space. FRAME_LINE, FRAME_CRLF: any amount of ASCII white space may follow it, and the message
     * is then always the word alone, also within the limit. FRAME_NETSTRING: beyond the limit it
     * must be the whole message. Otherwise it has no meaning. */
    const char *exempt_word;
};

/* The state of decoding between two calls. All zero is the start of a stream. Private. */
struct frame_decoder {
    size_t scanned; /* bytes at the head of the data that were searched already */
    /* bytes dropped of an oversize message; netstring: the declared length; block: of its lines so
     * far, each with one byte for its end */
    size_t length;
    size_t line; /* block: where the line begins that is not complete yet */
    unsigned char state;
};

enum frame_outcome {
    /* No complete message; `consumed` may still be more than 0 (dropped bytes). */
    FRAME_MORE,
    /* A message: `message` and `size`. */
    FRAME_MESSAGE,
    /* A message is over max_bytes: returned once, as soon as it is certain. */
    FRAME_OVERSIZE,
    /* The end of that message; `size` is its full size. Exactly one follows each FRAME_OVERSIZE,
     * from frame_next() or frame_end(), and no message comes in between. */
    FRAME_OVERSIZE_END,
    /* netstring: a length over max_bytes; a malformed frame. block: a message over max_bytes is a
     * bad length. Sticky: the stream can't be trusted, all bytes are consumed, and each later call
     * returns the same. */
    FRAME_BAD_LENGTH,
    FRAME_BAD,
    /* frame_end(): nothing was left over; bytes were, without the end of their message, and must
     * not be taken as one. */
    FRAME_END,
    FRAME_END_PARTIAL,
};

struct frame {
    /* How many bytes at the head of the data the caller must drop before the next call. */
    size_t consumed;
    /* FRAME_MESSAGE: a view into the data (or the exempt word), good as long as they are. */
    const char *message;
    /* FRAME_MESSAGE, FRAME_OVERSIZE_END: the size of the message without framing. FRAME_BAD_LENGTH:
     * the declared length up to the digit that took it over the limit (the next ones are not waited
     * for), SIZE_MAX if it does not fit or, in a block, is not known. */
    size_t size;
    /* FRAME_MESSAGE, in a codec of lines: the (last) line end was CR LF; false for the exempt word.
     * FRAME_OVERSIZE: the same, if the end is there already; false if it is not. */
    bool ends_in_crlf;
    /* FRAME_MESSAGE, block: `message` is still as on the wire, but for its last line, the dot;
     * frame_unstuff() makes the message of it. */
    bool is_stuffed;
};

/* Decodes the `size` bytes at `data`: all that were left over, then those that have come since.
 * Never returns FRAME_END or FRAME_END_PARTIAL. Call it again after every outcome but FRAME_MORE
 * and the two sticky ones.
 *
 * FRAME_RAW: the data is all that one read returned, and is one message (none for size 0). If it is
 * longer than max_bytes it is consumed as FRAME_OVERSIZE, and the next call returns
 * FRAME_OVERSIZE_END. */
enum frame_outcome frame_next(const struct frame_rules *rules, struct frame_decoder *decoder,
                              const char *data, size_t size, struct frame *frame);

/* FRAME_RAW: so many bytes more than the read returned belong to the message for which
 * FRAME_OVERSIZE was returned just now, and were dropped. */
static inline void frame_raw_goes_on(struct frame_decoder *decoder, size_t size)
{
    decoder->length += size;
}

/* Appends the message of a block for which `is_stuffed` is set: without the dots that were put in
 * front, and with LF between its lines. False, with `out` unchanged, when memory is out. */
bool frame_unstuff(struct buffer *out, const char *lines, size_t size);

/* FRAME_LINE, for speed: returns how many bytes at the head of the data are whole messages, framed
 * exactly as they would be sent again; `*count`, at most `max_count`, becomes the number of these
 * messages. The caller must drop these bytes. They end before a message that is over the limit or
 * begins with one of the bytes in `but_not`: that one is for frame_next(). 0 if there is no such
 * message, in the other codecs, and if frame_next() has seen a part of the data already. The rules
 * must have no exempt word. */
size_t frame_next_lines(const struct frame_rules *rules, const struct frame_decoder *decoder,
                        const char *data, size_t size, const char *but_not, size_t max_count,
                        size_t *count);

/* The outcome when the stream has ended with `size` bytes that frame_next() has not consumed:
 * FRAME_END, FRAME_END_PARTIAL, or FRAME_OVERSIZE_END for an oversize message that ends with the
 * stream (its size includes a CR at the very end, since there is no LF). After a sticky outcome:
 * that one again. A message that might still have been valid, such as the exempt word or its
 * beginning, is FRAME_END_PARTIAL. */
enum frame_outcome frame_end(const struct frame_rules *rules, struct frame_decoder *decoder,
                             size_t size, struct frame *frame);

/* Whether bytes of a message have come but not its end, with `size` bytes left over. True also
 * while an oversize message is being dropped. */
bool frame_is_partial(const struct frame_decoder *decoder, size_t size);

/* Why a message can't be sent in a codec. */
enum frame_refusal {
    FRAME_FITS,
    FRAME_HAS_LF,          /* line, crlf: the line feed would end it early */
    FRAME_ENDS_IN_CR,      /* line, crlf: the CR would be taken as part of the line end */
    FRAME_LINE_ENDS_IN_CR, /* block: the same, of one of its lines */
    FRAME_IS_EMPTY,        /* raw: nothing would be sent */
    FRAME_IS_TOO_LONG,
    FRAME_NO_MEMORY, /* from frame_put() alone */
};

/* The bytes around a message on the wire. */
struct frame_edges {
    char head[24]; /* not NUL-terminated */
    size_t head_size;
    char tail[8]; /* so are these */
    size_t tail_size;
    /* block: how many bytes go in between: dots in front of dots, and, if the tail begins with a
     * CR, one in front of each LF */
    size_t stuffing;
};

/* Sets the bytes that go before and after the message, so that a caller can send three pieces
 * without a copy (of a block without stuffing, too); or returns why it can't be sent, with `edges`
 * unchanged. `max_bytes` limits the message. */
enum frame_refusal frame_encode(enum frame_codec codec, const char *message, size_t size,
                                size_t max_bytes, struct frame_edges *edges);

/* The refusal as half a sentence about the message, such as "it holds a line feed". Static. */
const char *frame_refusal_text(enum frame_refusal refusal);

/* Appends a message, with its stuffing, and the edges that frame_encode() set for it. False, with
 * `out` unchanged, when memory is out. */
bool frame_append(struct buffer *out, const struct frame_edges *edges, const char *message,
                  size_t size);

/* frame_encode() and frame_append() in one. `out` is unchanged unless FRAME_FITS is returned. */
enum frame_refusal frame_put(struct buffer *out, enum frame_codec codec, const char *message,
                             size_t size, size_t max_bytes);

#endif
