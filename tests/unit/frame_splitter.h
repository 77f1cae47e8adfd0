/*
 * frame_splitter: cuts a stream into messages, slowly and in the simplest way, as the judge of
 * common/frame. Limits are small: each length that a netstring may have is tried.
 */
#ifndef BANTER_TESTS_FRAME_SPLITTER_H
#define BANTER_TESTS_FRAME_SPLITTER_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/unit/frame_feed.h"

static inline bool is_of_lines(enum frame_codec codec)
{
    return codec == FRAME_LINE || codec == FRAME_CRLF;
}

static inline bool is_block(enum frame_codec codec)
{
    return codec == FRAME_BLOCK || codec == FRAME_BLOCK_CRLF;
}

/* Appends to `trace` what a decoder must give for the whole of a stream that has ended, and to
 * `ends`, if the codec is one of lines, how each message's line ended, as frame_feed.h writes them
 * down. In all codecs but FRAME_RAW, in which it is not the stream that counts. */
void split_stream(const struct frame_rules *rules, const char *data, size_t size,
                  struct trace *trace, struct trace *ends);

#endif
