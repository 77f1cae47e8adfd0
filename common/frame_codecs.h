/*
 * frame_codecs: what frame.c asks of each codec. For the files frame*.c alone; everyone else
 * includes common/frame.h, which says what the results mean.
 *
 * The bytes of an oversize message are consumed as they come, so that the limit bounds the caller's
 * memory.
 */
#ifndef BANTER_COMMON_FRAME_CODECS_H
#define BANTER_COMMON_FRAME_CODECS_H

#include "common/frame.h"

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

/* ---- FRAME_LINE, FRAME_CRLF ---- */

/* In front of a definition: the function is inlined into each caller, if the program is optimised
 * as a whole. If a program has more than one, the compiler would not do so by itself, and a request
 * would cost the server 3 % more instructions. */
#define FRAME_INLINED __attribute__((always_inline)) inline

/* frame_next() AT_START. */
enum frame_outcome frame_line_next(const struct frame_rules *rules, struct frame_decoder *decoder,
                                   const char *data, size_t size, struct frame *frame);

/* Drops what is left of an oversize line. */
enum frame_outcome frame_line_skip(struct frame_decoder *decoder, const char *data, size_t size,
                                   struct frame *frame);

/* Drops the white space after an exempt word that is over the limit. */
enum frame_outcome frame_line_skip_white(const struct frame_rules *rules,
                                         struct frame_decoder *decoder, const char *data,
                                         size_t size, struct frame *frame);

enum frame_refusal frame_line_encode(const char *message, size_t size, bool in_crlf,
                                     struct frame_edges *edges);

/* frame_line_encode() and frame_append() in one. Nearly every reply comes through here. */
enum frame_refusal frame_line_put(struct buffer *out, bool in_crlf, const char *message,
                                  size_t size);

/* ---- FRAME_NETSTRING ---- */

enum frame_outcome frame_netstring_next(const struct frame_rules *rules,
                                        struct frame_decoder *decoder, const char *data,
                                        size_t size, struct frame *frame);

void frame_netstring_encode(size_t size, struct frame_edges *edges);

/* ---- FRAME_BLOCK, FRAME_BLOCK_CRLF ---- */

enum frame_outcome frame_block_next(const struct frame_rules *rules, struct frame_decoder *decoder,
                                    const char *data, size_t size, struct frame *frame);

enum frame_refusal frame_block_encode(const char *message, size_t size, bool in_crlf,
                                      struct frame_edges *edges);

/* Copies a block's lines to `at`, stuffed. Returns the end. */
char *frame_block_stuff(char *at, const char *message, size_t size, bool in_crlf);

/* ---- outcomes ---- */

static inline enum frame_outcome frame_give_message(struct frame *frame, const char *message,
                                                    size_t size, size_t consumed)
{
    frame->message = message;
    frame->size = size;
    frame->consumed = consumed;
    return FRAME_MESSAGE;
}

static inline enum frame_outcome frame_end_skipping(struct frame_decoder *decoder, size_t size,
                                                    struct frame *frame)
{
    frame->size = size;
    *decoder = (struct frame_decoder){0};
    return FRAME_OVERSIZE_END;
}

/* The stream can't be trusted any more: nothing after this point is a message. */
static inline enum frame_outcome frame_refuse(struct frame_decoder *decoder, enum frame_outcome why,
                                              size_t size, struct frame *frame)
{
    decoder->state = why == FRAME_BAD_LENGTH ? REFUSED_LENGTH : REFUSED;
    decoder->scanned = 0;
    frame->consumed = size;
    frame->size = why == FRAME_BAD_LENGTH ? decoder->length : 0;
    return why;
}

#endif
