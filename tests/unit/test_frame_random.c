/*
 * The codecs against a splitter that is obviously right (frame_splitter.h). Random streams made of
 * what hurts, random limits, random cuttings; the events must be the same. BANTER_SEED repeats a
 * run (the seed is printed), BANTER_CASES is the number of cases.
 */
#include "common/frame.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/frame_feed.h"
#include "tests/unit/frame_splitter.h"

enum { LONGEST_INPUT = 160, LARGEST_LIMIT = 40 };

static const uint64_t default_seed = 20240229;
static const unsigned long default_cases = 1000000;
static uint64_t seed;
static unsigned long cases;

static const char *const words[] = {"--QUIT--", "--QUIT--", NULL, "-", "0123456789012345678901"};

/* --- Random streams (xorshift64*) --- */

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t) (((random_state * UINT64_C(2685821657736338717)) >> 32) % bound);
}

struct stream {
    char bytes[LONGEST_INPUT];
    size_t size;
};

static void stream_add(struct stream *stream, const char *bytes, size_t size)
{
    if (size > LONGEST_INPUT - stream->size)
        size = LONGEST_INPUT - stream->size;
    memcpy(stream->bytes + stream->size, bytes, size);
    stream->size += size;
}

static void add_token(struct stream *stream)
{
    static const struct {
        const char *bytes;
        size_t size;
    } tokens[] = {
        {BYTES("\n")},    {BYTES("\n")},         {BYTES("\r")},   {BYTES("\r\n")},
        {BYTES("\0")},    {BYTES("a")},          {BYTES("bcd")},  {BYTES("--QUIT--")},
        {BYTES("-")},     {BYTES("--QUIT--\n")}, {BYTES("--Q")},  {BYTES("UIT--")},
        {BYTES(" ")},     {BYTES("  \t\v\f")},   {BYTES("0")},    {BYTES("7")},
        {BYTES(":")},     {BYTES(",")},          {BYTES(".")},    {BYTES(".\n")},
        {BYTES("\n.\n")}, {BYTES("\n.\r\n")},    {BYTES("\n..")},
    };
    uint32_t i = random_below(sizeof tokens / sizeof tokens[0]);
    stream_add(stream, tokens[i].bytes, tokens[i].size);
}

/* A netstring, mostly a right one: nothing else gets past the first error. */
static void add_netstring(struct stream *stream, const char *word, size_t max_bytes)
{
    struct stream payload = {.size = 0};
    if (word && random_below(4) == 0) {
        stream_add(&payload, word, strlen(word));
        if (random_below(4) == 0)
            payload.bytes[random_below((uint32_t) payload.size)] ^= 1;
    } else {
        size_t wanted = random_below((uint32_t) max_bytes + (random_below(8) == 0 ? 2 : 1));
        while (payload.size < wanted)
            add_token(&payload);
        payload.size = wanted;
    }
    char head[16];
    int head_size =
        snprintf(head, sizeof head, "%s%zu:", random_below(40) == 0 ? "0" : "", payload.size);
    stream_add(stream, head, (size_t) head_size);
    stream_add(stream, payload.bytes, payload.size);
    stream_add(stream, random_below(40) == 0 ? "\n" : ",", 1);
}

static void fill_stream(struct stream *stream, const struct frame_rules *rules)
{
    stream->size = 0;
    for (uint32_t count = random_below(12); count > 0; count--)
        if (rules->codec == FRAME_NETSTRING && random_below(12) != 0)
            add_netstring(stream, rules->exempt_word, rules->max_bytes);
        else
            add_token(stream);
    /* Cut off anywhere, so that the stream's end meets every state. */
    if (stream->size > 0 && random_below(4) == 0)
        stream->size = random_below((uint32_t) stream->size);
}

static enum frame_codec random_codec(void)
{
    static const enum frame_codec codecs[] = {FRAME_LINE, FRAME_CRLF, FRAME_BLOCK, FRAME_BLOCK_CRLF,
                                              FRAME_NETSTRING};
    return codecs[random_below(sizeof codecs / sizeof codecs[0])];
}

/* --- The comparison --- */

static void report(unsigned long number, const struct frame_rules *rules,
                   const struct stream *stream, const struct trace *expected,
                   const struct feeder *feeder, const char *what)
{
    fprintf(stderr, "case %lu of seed %" PRIu64 ": %s, at most %zu bytes, word %s: %s\n", number,
            seed, frame_codec_name(rules->codec), rules->max_bytes,
            rules->exempt_word ? rules->exempt_word : "(none)", what);
    print_bytes("stream  ", stream->bytes, stream->size);
    print_bytes("expected", expected->text, expected->size);
    print_bytes("got     ", feeder->trace.text, feeder->trace.size);
    fail();
}

/* What a decoder may leave with its caller: a message that fits, or a word that might, and its
 * framing. */
static bool holds_too_much(const struct feeder *feeder)
{
    const struct frame_rules *rules = &feeder->rules;
    size_t word_size = rules->exempt_word ? strlen(rules->exempt_word) : 0;
    size_t longest = word_size > rules->max_bytes ? word_size : rules->max_bytes;
    if (is_block(rules->codec)) /* each dot may be two, and each LF CR LF */
        return !feeder->refused && feeder->held_size > 2 * (rules->max_bytes + 1) + 2;
    return !feeder->refused && feeder->held_size > longest + (is_of_lines(rules->codec) ? 1 : 3);
}

static void run_case(unsigned long number, unsigned long *seen)
{
    struct frame_rules rules = {
        random_codec(),
        1 + random_below(random_below(2) == 0 ? 12 : LARGEST_LIMIT),
        words[random_below(sizeof words / sizeof words[0])],
    };
    struct stream stream;
    struct trace expected = {.size = 0};
    struct trace ends = {.size = 0};
    struct feeder feeder = {.rules = rules};
    fill_stream(&stream, &rules);
    split_stream(&rules, stream.bytes, stream.size, &expected, &ends);

    uint32_t longest_piece = 1 + random_below(24);
    for (size_t at = 0; at < stream.size;) {
        size_t size = 1 + random_below(longest_piece);
        if (size > stream.size - at)
            size = stream.size - at;
        feeder_feed(&feeder, stream.bytes + at, size);
        at += size;
        if (holds_too_much(&feeder))
            report(number, &rules, &stream, &expected, &feeder, "it holds too much");
        if (is_of_lines(rules.codec) &&
            frame_is_partial(&feeder.decoder, feeder.held_size) != (stream.bytes[at - 1] != '\n'))
            report(number, &rules, &stream, &expected, &feeder, "frame_is_partial() is wrong");
    }
    feeder_end(&feeder);
    if (!trace_equals(&feeder.trace, expected.text, expected.size))
        report(number, &rules, &stream, &expected, &feeder, "other events");
    if (rules.codec != FRAME_NETSTRING && !trace_equals(&feeder.ends, ends.text, ends.size))
        report(number, &rules, &stream, &ends, &feeder, "other line ends");
    for (size_t i = 0; i <= FRAME_END_PARTIAL; i++)
        seen[i] += feeder.seen[i];
}

static void random_streams_give_what_a_simple_splitter_gives(void **state)
{
    (void) state;
    unsigned long seen[FRAME_END_PARTIAL + 1] = {0};
    random_state = seed;
    for (unsigned long number = 0; number < cases; number++)
        run_case(number, seen);
    printf("%lu messages, %lu oversize, %lu bad lengths, %lu malformed, %lu cut off\n",
           seen[FRAME_MESSAGE], seen[FRAME_OVERSIZE], seen[FRAME_BAD_LENGTH], seen[FRAME_BAD],
           seen[FRAME_END_PARTIAL]);
    /* A comparison of nothing with nothing would pass: each outcome has to come now and then. */
    for (size_t i = 0; i <= FRAME_END_PARTIAL; i++)
        assert_true(cases < 1000 || seen[i] > cases / 100);
}

static bool has_line_with_cr(const struct stream *message)
{
    for (size_t i = 0; i < message->size; i++)
        if (message->bytes[i] == '\r' && (i + 1 == message->size || message->bytes[i + 1] == '\n'))
            return true;
    return false;
}

/* The encoder refuses just what the decoder would not give back as it was. */
static void random_messages_come_back_or_are_refused(void **state)
{
    (void) state;
    random_state = seed;
    for (unsigned long number = 0; number < cases / 10; number++) {
        struct frame_rules rules = {random_codec(), 1 + random_below(LARGEST_LIMIT), NULL};
        struct stream message = {.size = 0};
        for (uint32_t count = random_below(6); count > 0; count--)
            add_token(&message);

        struct frame_edges edges;
        enum frame_refusal refusal =
            frame_encode(rules.codec, message.bytes, message.size, rules.max_bytes, &edges);
        if (refusal != FRAME_FITS && rules.codec == FRAME_NETSTRING) {
            assert_int_equal(refusal, FRAME_IS_TOO_LONG);
            assert_true(message.size > rules.max_bytes);
            continue;
        }
        if (refusal != FRAME_FITS && is_block(rules.codec)) {
            assert_true(message.size > rules.max_bytes || has_line_with_cr(&message));
            continue;
        }
        /* A refused line, framed nevertheless, must come back as something else. */
        if (refusal != FRAME_FITS)
            edges = (struct frame_edges){.tail = {'\n'}, .tail_size = 1};
        assert_false(is_block(rules.codec) && has_line_with_cr(&message));
        struct buffer wire = {0};
        struct trace expected = {.size = 0};
        assert_true(frame_append(&wire, &edges, message.bytes, message.size));
        trace_outcome(&expected, FRAME_MESSAGE, message.bytes, message.size);
        trace_outcome(&expected, FRAME_END, NULL, 0);

        struct feeder feeder = {.rules = rules};
        size_t cut = random_below((uint32_t) buffer_size(&wire));
        feeder_feed(&feeder, buffer_head(&wire), cut);
        feeder_feed(&feeder, buffer_head(&wire) + cut, buffer_size(&wire) - cut);
        feeder_end(&feeder);
        if (trace_equals(&feeder.trace, expected.text, expected.size) != (refusal == FRAME_FITS))
            report(number, &rules, &message, &expected, &feeder, frame_refusal_text(refusal));
        buffer_fini(&wire);
    }
}

int main(void)
{
    const char *given_seed = getenv("BANTER_SEED");
    const char *given_cases = getenv("BANTER_CASES");
    seed = given_seed ? strtoull(given_seed, NULL, 0) : default_seed;
    cases = given_cases ? strtoul(given_cases, NULL, 0) : default_cases;
    if (seed == 0) /* the one state from which xorshift never gets away */
        seed = default_seed;
    printf("BANTER_SEED=%" PRIu64 " BANTER_CASES=%lu\n", seed, cases);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_streams_give_what_a_simple_splitter_gives),
        cmocka_unit_test(random_messages_come_back_or_are_refused),
    };
    return cmocka_run_group_tests_name("frame_random", tests, NULL, NULL);
}
