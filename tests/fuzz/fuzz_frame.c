/*
 * fuzz_frame: streams, cut anywhere, through the telnet filter or not, against the splitter that
 * has the whole stream at once.
 *
 * Input: the codec, flags, the limit, two bytes for the cuts, the stream.
 */
#include <string.h>

#include "server/session/telnet.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/frame_feed.h"
#include "tests/unit/frame_splitter.h"

enum { LARGEST_LIMIT = 40, LONGEST_STREAM = 300 };

struct stream {
    char bytes[LONGEST_STREAM];
    size_t size;
};

/* ---- telnet, with the whole stream at once ---- */

/* The size of the command at the head of the stream, or of what there is of it. */
static size_t command_size(const unsigned char *data, size_t size)
{
    static const unsigned char end[] = {255, 240};
    if (size < 2)
        return size;
    if (data[1] >= 251 && data[1] <= 254)
        return size < 3 ? size : 3;
    if (data[1] != 250)
        return 2;
    for (size_t i = 2; i < size; i++) {
        if (data[i] != 255)
            continue;
        if (i + 1 < size && memcmp(data + i, end, sizeof end) == 0)
            return i + 2;
        i++; /* what follows is no beginning of a command */
    }
    return size;
}

/* A NUL goes that stands right behind a CR. */
static void take_telnet_out(struct stream *stream)
{
    struct stream out = {.size = 0};
    bool behind_cr = false;
    for (size_t i = 0; i < stream->size;) {
        const unsigned char *data = (const unsigned char *) stream->bytes + i;
        bool is_command = data[0] == 255;
        bool is_byte = is_command && i + 1 < stream->size && data[1] == 255;
        if (is_command)
            i += command_size(data, stream->size - i);
        else
            i++;
        if (is_command)
            behind_cr = false;
        if (is_byte || (!is_command && !(behind_cr && data[0] == '\0')))
            out.bytes[out.size++] = (char) data[0];
        if (!is_command)
            behind_cr = data[0] == '\r';
    }
    *stream = out;
}

/* ---- a read ---- */

/* The filter's, in a block of just its size. */
static void feed(struct feeder *feeder, struct telnet *telnet, const char *piece, size_t size)
{
    struct buffer answers = {0};
    bool failed = false;
    char *block = malloc(size);
    FUZZ_REQUIRE(block);
    memcpy(block, piece, size);
    size_t left = telnet ? telnet_filter(telnet, block, size, &answers, &failed) : size;
    FUZZ_REQUIRE(left <= size && !failed && buffer_size(&answers) <= 3 * size);
    feeder_feed(feeder, block, left);
    buffer_fini(&answers);
    free(block);
}

static void feed_all(struct feeder *feeder, struct fuzz_cuts *cuts, bool with_telnet,
                     const struct stream *stream)
{
    struct telnet telnet = {0};
    for (size_t at = 0; at < stream->size;) {
        size_t size = fuzz_cut(cuts, stream->size - at);
        feed(feeder, with_telnet ? &telnet : NULL, stream->bytes + at, size);
        at += size;
    }
    feeder_end(feeder);
}

/* ---- raw, in which each read is a message ---- */

static void feed_raw(const struct frame_rules *rules, struct fuzz_cuts *cuts,
                     const struct stream *stream)
{
    struct feeder feeder = {.rules = *rules};
    struct trace expected = {.size = 0};
    for (size_t at = 0; at < stream->size;) {
        size_t size = fuzz_cut(cuts, stream->size - at);
        feeder_feed(&feeder, stream->bytes + at, size);
        bool fits = size <= rules->max_bytes;
        trace_outcome(&expected, fits ? FRAME_MESSAGE : FRAME_OVERSIZE, stream->bytes + at, size);
        if (!fits)
            trace_outcome(&expected, FRAME_OVERSIZE_END, NULL, size);
        at += size;
    }
    feeder_end(&feeder);
    trace_outcome(&expected, FRAME_END, NULL, 0);
    FUZZ_REQUIRE(trace_equals(&feeder.trace, expected.text, expected.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const words[] = {"--QUIT--", NULL, "-", "0123456789012345678901"};
    struct fuzz_input input = {data, size};
    enum frame_codec codec = (enum frame_codec) fuzz_below(&input, FRAME_RAW + 1);
    unsigned flags = fuzz_byte(&input);
    struct frame_rules rules = {codec, 1 + fuzz_below(&input, LARGEST_LIMIT), words[flags & 3]};
    struct fuzz_cuts cuts = fuzz_cuts(&input);
    struct stream stream = {.size = LONGEST_STREAM};
    const char *bytes = fuzz_bytes(&input, &stream.size);
    memcpy(stream.bytes, bytes, stream.size);
    if (codec == FRAME_RAW) {
        feed_raw(&rules, &cuts, &stream);
        return 0;
    }

    bool with_telnet = flags & 4 && codec != FRAME_NETSTRING;
    struct feeder feeder = {.rules = rules, .by_lines = flags & 8 && !rules.exempt_word};
    feed_all(&feeder, &cuts, with_telnet, &stream);
    struct trace expected = {.size = 0};
    struct trace ends = {.size = 0};
    if (with_telnet)
        take_telnet_out(&stream);
    split_stream(&rules, stream.bytes, stream.size, &expected, &ends);
    FUZZ_REQUIRE(trace_equals(&feeder.trace, expected.text, expected.size));
    FUZZ_REQUIRE(codec == FRAME_NETSTRING || trace_equals(&feeder.ends, ends.text, ends.size));
    return 0;
}
