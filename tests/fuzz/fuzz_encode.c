/*
 * fuzz_encode: a message comes back as it was, or is refused for a reason that it really has.
 *
 * Input: the codec, the limit, two bytes for the cuts, the message.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/frame_feed.h"
#include "tests/unit/frame_splitter.h"

enum { LARGEST_LIMIT = 200 };

static bool has_line_that_ends_in_cr(const char *message, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (message[i] == '\r' && (i + 1 == size || message[i + 1] == '\n'))
            return true;
    return false;
}

static enum frame_refusal judge(enum frame_codec codec, const char *message, size_t size,
                                size_t max_bytes)
{
    if (size > max_bytes)
        return FRAME_IS_TOO_LONG;
    if (codec == FRAME_RAW && size == 0)
        return FRAME_IS_EMPTY;
    if (is_of_lines(codec) && size > 0 && memchr(message, '\n', size))
        return FRAME_HAS_LF;
    if (is_of_lines(codec) && size > 0 && message[size - 1] == '\r')
        return FRAME_ENDS_IN_CR;
    if (is_block(codec) && has_line_that_ends_in_cr(message, size))
        return FRAME_LINE_ENDS_IN_CR;
    return FRAME_FITS;
}

/* The same in two steps, behind what is in the buffer already. */
static void put_in_steps(struct buffer *wire, enum frame_codec codec, const char *message,
                         size_t size, size_t max_bytes)
{
    struct frame_edges edges;
    FUZZ_REQUIRE(frame_encode(codec, message, size, max_bytes, &edges) == FRAME_FITS);
    FUZZ_REQUIRE(edges.head_size <= sizeof edges.head && edges.tail_size <= sizeof edges.tail);
    size_t before = buffer_size(wire);
    FUZZ_REQUIRE(frame_append(wire, &edges, message, size));
    FUZZ_REQUIRE(buffer_size(wire) - before ==
                 edges.head_size + size + edges.stuffing + edges.tail_size);
}

static void come_back(const struct frame_rules *rules, const char *message, size_t size,
                      struct fuzz_cuts *cuts, const struct buffer *wire)
{
    struct feeder feeder = {.rules = *rules};
    struct trace expected = {.size = 0};
    for (size_t at = 0; at < buffer_size(wire);) {
        size_t left = buffer_size(wire) - at;
        size_t piece = rules->codec == FRAME_RAW ? left : fuzz_cut(cuts, left);
        feeder_feed(&feeder, buffer_head(wire) + at, piece);
        at += piece;
    }
    feeder_end(&feeder);
    trace_outcome(&expected, FRAME_MESSAGE, message, size);
    trace_outcome(&expected, FRAME_END, NULL, 0);
    FUZZ_REQUIRE(trace_equals(&feeder.trace, expected.text, expected.size));
    bool in_crlf = rules->codec == FRAME_CRLF || rules->codec == FRAME_BLOCK_CRLF;
    FUZZ_REQUIRE(trace_equals(&feeder.ends, in_crlf ? "r" : "n", 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    enum frame_codec codec = (enum frame_codec) fuzz_below(&input, FRAME_RAW + 1);
    size_t max_bytes = 1 + fuzz_below(&input, LARGEST_LIMIT);
    struct fuzz_cuts cuts = fuzz_cuts(&input);
    const char *message = input.left ? (const char *) input.at : NULL;

    struct buffer wire = {0}, twice = {0};
    enum frame_refusal refusal = frame_put(&wire, codec, message, input.left, max_bytes);
    FUZZ_REQUIRE(refusal == judge(codec, message, input.left, max_bytes));
    FUZZ_REQUIRE(*frame_refusal_text(refusal));
    if (refusal == FRAME_FITS) {
        put_in_steps(&twice, codec, message, input.left, max_bytes);
        put_in_steps(&twice, codec, message, input.left, max_bytes);
        size_t once = buffer_size(&wire);
        FUZZ_REQUIRE(buffer_size(&twice) == 2 * once);
        FUZZ_REQUIRE(memcmp(buffer_head(&twice), buffer_head(&wire), once) == 0);
        FUZZ_REQUIRE(memcmp(buffer_head(&twice) + once, buffer_head(&wire), once) == 0);
        come_back(&(struct frame_rules){codec, max_bytes, NULL}, message, input.left, &cuts, &wire);
    } else {
        FUZZ_REQUIRE(buffer_size(&wire) == 0);
    }
    buffer_fini(&wire);
    buffer_fini(&twice);
    return 0;
}
