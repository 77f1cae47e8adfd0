/*
 * The codecs, by tables: bytes beside the events that they must give. Each input is fed whole, byte
 * by byte, cut at every point and at every pair of points, and the events must be the same each
 * time (raw aside, where a read is a message). The tests in the first part bear the names of
 * mistakes that other codecs made.
 */
#include "common/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/frame_feed.h"

#define WORD "--QUIT--"

/* A stream, fed in three pieces: up to `first`, up to `second`, the rest. */
static void check_cut(const struct frame_rules *rules, const char *input, size_t size, size_t first,
                      size_t second, const char *expected, size_t expected_size)
{
    struct feeder feeder = {.rules = *rules};
    feeder_feed(&feeder, input, first);
    feeder_feed(&feeder, input + first, second - first);
    feeder_feed(&feeder, input + second, size - second);
    feeder_end(&feeder);
    if (trace_equals(&feeder.trace, expected, expected_size))
        return;
    print_bytes("input   ", input, size);
    print_bytes("expected", expected, expected_size);
    print_bytes("got     ", feeder.trace.text, feeder.trace.size);
    fail_msg("%s, at most %zu bytes, cut at %zu and %zu", frame_codec_name(rules->codec),
             rules->max_bytes, first, second);
}

static void check_bytewise(const struct frame_rules *rules, const char *input, size_t size,
                           const char *expected, size_t expected_size)
{
    struct feeder feeder = {.rules = *rules};
    for (size_t i = 0; i < size; i++) {
        feeder_feed(&feeder, input + i, 1);
        feeder_feed(&feeder, NULL, 0); /* a read that brought nothing changes nothing */
    }
    feeder_end(&feeder);
    if (trace_equals(&feeder.trace, expected, expected_size))
        return;
    print_bytes("input   ", input, size);
    print_bytes("expected", expected, expected_size);
    print_bytes("got     ", feeder.trace.text, feeder.trace.size);
    fail_msg("%s, at most %zu bytes, byte by byte", frame_codec_name(rules->codec),
             rules->max_bytes);
}

static void check_all_cuts(const struct frame_rules *rules, const char *input, size_t size,
                           const char *expected, size_t expected_size)
{
    check_bytewise(rules, input, size, expected, expected_size);
    /* first == second == 0 is the whole at once; a long input is cut in two only. */
    for (size_t second = 0; second <= size; second++)
        for (size_t first = 0; first <= second; first += size <= 64 || second == 0 ? 1 : second)
            check_cut(rules, input, size, first, second, expected, expected_size);
}

static void check_line(size_t max_bytes, const char *input, size_t size, const char *expected,
                       size_t expected_size)
{
    struct frame_rules rules = {FRAME_LINE, max_bytes, WORD};
    check_all_cuts(&rules, input, size, expected, expected_size);
}

static void check_netstring(size_t max_bytes, const char *input, size_t size, const char *expected)
{
    struct frame_rules rules = {FRAME_NETSTRING, max_bytes, WORD};
    check_all_cuts(&rules, input, size, expected, strlen(expected));
}

/* A client reads blocks, and has no exempt word. */
static void check_block(size_t max_bytes, const char *input, size_t size, const char *expected,
                        size_t expected_size)
{
    struct frame_rules rules = {FRAME_BLOCK, max_bytes, NULL};
    check_all_cuts(&rules, input, size, expected, expected_size);
}

/* How the lines of the messages end. */
static void check_ends(enum frame_codec codec, const char *input, const char *expected)
{
    size_t size = strlen(input);
    for (size_t cut = 0; cut <= size; cut++) {
        struct feeder feeder = {.rules = {codec, 4, NULL}};
        feeder_feed(&feeder, input, cut);
        feeder_feed(&feeder, input + cut, size - cut);
        feeder_end(&feeder);
        if (!trace_equals(&feeder.ends, expected, strlen(expected)))
            fail_msg("%s, cut at %zu: %.*s", frame_codec_name(codec), cut, (int) feeder.ends.size,
                     feeder.ends.text);
    }
}

#define LINE(max_bytes, input, expected) check_line(max_bytes, BYTES(input), BYTES(expected))
#define BLOCK(max_bytes, input, expected) check_block(max_bytes, BYTES(input), BYTES(expected))
#define NETSTRING(max_bytes, input, expected) check_netstring(max_bytes, BYTES(input), expected)

/* --- Mistakes of others --- */

static void oversize_is_told_once_and_not_at_each_call(void **state)
{
    (void) state;
    LINE(4, "123456789\n", "!!9.");
    LINE(4, "12345", "!!5");
    /* What comes after the end of one message belongs to the next. */
    LINE(4, "123456\n123456\n", "!!6!!6.");
}

static void throwing_away_survives_pieces_without_a_newline(void **state)
{
    (void) state;
    struct frame_rules rules = {FRAME_LINE, 4, NULL};
    struct feeder feeder = {.rules = rules};
    for (size_t i = 0; i < 100; i++) {
        feeder_feed(&feeder, BYTES("0123456789"));
        assert_int_equal(feeder.held_size, 0);
        assert_true(frame_is_partial(&feeder.decoder, feeder.held_size));
    }
    feeder_feed(&feeder, BYTES("\nZack\n"));
    assert_false(frame_is_partial(&feeder.decoder, feeder.held_size));
    feeder_end(&feeder);
    assert_true(trace_equals(&feeder.trace, BYTES("!!1000[Zack].")));
}

static void throwing_away_stops_with_the_message(void **state)
{
    (void) state;
    LINE(4, "12345\nZack\nAda\n", "!!5[Zack][Ada].");
    LINE(4, "12345\r\nZack\r\nAda", "!!5[Zack]~");
    LINE(4, "12345\n\n\nAda\n", "!!5[][][Ada].");
}

static void an_oversize_message_that_is_wholly_there_is_skipped_exactly(void **state)
{
    (void) state;
    LINE(1, "1234567890\na\n", "!!10[a].");
    LINE(1, "ab\na\nab\nb\n", "!!2[a]!!2[b].");
}

static void no_offset_is_left_behind_by_throwing_away(void **state)
{
    (void) state;
    struct feeder feeder = {.rules = {FRAME_LINE, 4, WORD}};
    feeder_feed(&feeder, BYTES("1234567\n"));
    struct frame_decoder fresh = {0};
    assert_memory_equal(&feeder.decoder.scanned, &fresh.scanned, sizeof fresh.scanned);
    assert_memory_equal(&feeder.decoder.length, &fresh.length, sizeof fresh.length);
    assert_int_equal(feeder.decoder.state, fresh.state);
    feeder_feed(&feeder, BYTES("\n"));
    feeder_feed(&feeder, BYTES("a\nb"));
    feeder_feed(&feeder, BYTES("\n"));
    feeder_end(&feeder);
    assert_true(trace_equals(&feeder.trace, BYTES("!!7[][a][b].")));
}

enum { LONG_LINE = 1 << 20 };

/* What was searched is overwritten with line feeds: whoever looks again finds them. */
static void no_byte_is_searched_twice_in_a_line(void **state)
{
    (void) state;
    struct frame_rules rules = {FRAME_LINE, LONG_LINE, WORD};
    struct frame_decoder decoder = {0};
    struct frame frame;
    char *data = malloc(LONG_LINE + 1);
    assert_non_null(data);
    for (size_t i = 0; i < LONG_LINE; i++) {
        data[i] = 'x';
        assert_int_equal(frame_next(&rules, &decoder, data, i + 1, &frame), FRAME_MORE);
        assert_int_equal(frame.consumed, 0);
        assert_int_equal(decoder.scanned, i + 1);
        data[i] = '\n';
    }
    data[LONG_LINE] = '\n';
    assert_int_equal(frame_next(&rules, &decoder, data, LONG_LINE + 1, &frame), FRAME_MESSAGE);
    assert_int_equal(frame.size, LONG_LINE);
    assert_int_equal(frame.consumed, LONG_LINE + 1);
    assert_ptr_equal(frame.message, data);
    free(data);
}

/* The same, with digits, colon and payload overwritten by what would be malformed. */
static void no_byte_is_searched_twice_in_a_netstring(void **state)
{
    (void) state;
    struct frame_rules rules = {FRAME_NETSTRING, LONG_LINE, WORD};
    struct frame_decoder decoder = {0};
    struct frame frame;
    char head[24];
    size_t head_size = (size_t) snprintf(head, sizeof head, "%d:", LONG_LINE);
    size_t size = head_size + LONG_LINE + 1;
    char *data = malloc(size);
    assert_non_null(data);
    for (size_t i = 0; i < size - 1; i++) {
        data[i] = i < head_size ? head[i] : 'x';
        assert_int_equal(frame_next(&rules, &decoder, data, i + 1, &frame), FRAME_MORE);
        assert_int_equal(decoder.scanned, i < head_size ? i + 1 : head_size);
        data[i] = '?';
    }
    data[size - 1] = ',';
    assert_int_equal(frame_next(&rules, &decoder, data, size, &frame), FRAME_MESSAGE);
    assert_ptr_equal(frame.message, data + head_size);
    assert_int_equal(frame.size, LONG_LINE);
    assert_int_equal(frame.consumed, size);
    free(data);
}

static void oversize_bytes_are_not_kept(void **state)
{
    (void) state;
    struct feeder feeder = {.rules = {FRAME_LINE, 16, WORD}};
    for (size_t i = 0; i < 1000; i++) {
        feeder_feed(&feeder, BYTES("x"));
        assert_true(feeder.held_size <= 16);
    }
    feeder_feed(&feeder, BYTES("\n" WORD));
    for (size_t i = 0; i < 1000; i++) {
        feeder_feed(&feeder, BYTES(" "));
        assert_true(feeder.held_size <= 16);
    }
    feeder_feed(&feeder, BYTES("\n"));
    feeder_end(&feeder);
    assert_true(trace_equals(&feeder.trace, BYTES("!!1000[" WORD "].")));
}

static void messages_are_views_and_nothing_is_moved(void **state)
{
    (void) state;
    static const char data[] = "Zack\r\nAda\n\n";
    static const struct {
        size_t at, size, consumed;
    } expected[] = {{0, 4, 6}, {6, 3, 4}, {10, 0, 1}};
    struct frame_rules rules = {FRAME_LINE, 10, WORD};
    struct frame_decoder decoder = {0};
    struct frame frame;
    size_t at = 0;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(frame_next(&rules, &decoder, data + at, sizeof data - 1 - at, &frame),
                         FRAME_MESSAGE);
        assert_ptr_equal(frame.message, data + expected[i].at);
        assert_int_equal(frame.size, expected[i].size);
        assert_int_equal(frame.consumed, expected[i].consumed);
        at += frame.consumed;
    }
    assert_int_equal(frame_next(&rules, &decoder, data + at, 0, &frame), FRAME_MORE);
}

static void the_limit_does_not_depend_on_how_bytes_were_cut(void **state)
{
    (void) state;
    LINE(4, "1234\n", "[1234].");
    LINE(4, "12345\n", "!!5.");
    LINE(4, "1234\r\n", "[1234].");
    LINE(4, "12345\r\n", "!!5.");
    LINE(4, "1234\r\r\n", "!!5.");
    LINE(4, "123\r\r\n", "[123\r].");
    LINE(1, "\n", "[].");
    LINE(1, "\r\n", "[].");
    LINE(1, "\r\r\n", "[\r].");
    LINE(SIZE_MAX, "12345\r\n12345\r", "[12345]~");
}

static void a_pipeline_of_small_messages_is_not_oversize(void **state)
{
    (void) state;
    LINE(2, "ab\ncd\nef\ngh\nij\nkl\nmn\n", "[ab][cd][ef][gh][ij][kl][mn].");
    LINE(2, "ab\r\ncd\r\nef\r\ngh\r\n", "[ab][cd][ef][gh].");
    NETSTRING(2, "2:ab,2:cd,2:ef,2:gh,", "[ab][cd][ef][gh].");
}

static void a_nul_does_not_end_the_search(void **state)
{
    (void) state;
    LINE(8, "a\0b\n\0\n\0\0", "[a\0b][\0]~");
    LINE(2, "a\0b\n\0\n", "!!3[\0].");
}

static void a_lone_cr_is_data(void **state)
{
    (void) state;
    LINE(8, "a\rb\n\ra\n\r\r\n\r\n", "[a\rb][\ra][\r][].");
    LINE(8, "a\r", "~");
}

static void cr_lf_over_two_reads_is_one_line_end(void **state)
{
    (void) state;
    struct frame_rules rules = {FRAME_LINE, 8, WORD};
    struct feeder feeder = {.rules = rules};
    feeder_feed(&feeder, BYTES("Zack\r"));
    assert_int_equal(feeder.trace.size, 0);
    feeder_feed(&feeder, BYTES("\nAda\r"));
    feeder_feed(&feeder, BYTES("\n"));
    feeder_end(&feeder);
    assert_true(trace_equals(&feeder.trace, BYTES("[Zack][Ada].")));
    /* And while a message is thrown away, where the CR is consumed before the LF is seen. */
    LINE(4, "12345\r\n1234\r\n", "!!5[1234].");
    LINE(4, "12345\r\r\n123456\r7\r\n", "!!6!!8.");
}

static void after_a_cr_at_the_end_of_a_full_buffer_the_lf_still_counts(void **state)
{
    (void) state;
    LINE(4, "1234\r\nabcd\r\n", "[1234][abcd].");
    LINE(4, "1234\r5\nab\n", "!!6[ab].");
    LINE(4, "1234\r\r\nab\n", "!!5[ab].");
    /* Without anything behind it, it may still have been within the limit. */
    LINE(4, "1234\r", "~");
    LINE(4, "1234\r\r", "!!6");
    LINE(4, "12345\r", "!!6");
}

static void a_declared_length_is_digits_and_no_leading_zero(void **state)
{
    (void) state;
    NETSTRING(99, "5:Hello,0:,1:\n,", "[Hello][][\n].");
    NETSTRING(99, "00:,", "B");
    NETSTRING(99, "05:Hello,", "B");
    NETSTRING(99, "01", "B");
    NETSTRING(99, ":,", "B");
    NETSTRING(99, ",", "B");
    NETSTRING(99, " 5:Hello,", "B");
    NETSTRING(99, "5 :Hello,", "B");
    NETSTRING(99, "+5:Hello,", "B");
    NETSTRING(99, "-5:Hello,", "B");
    NETSTRING(99, "-1:", "B");
    NETSTRING(99, "0x5:Hello,", "B");
    NETSTRING(99, "5.0:Hello,", "B");
    NETSTRING(99, "5;Hello,", "B");
    NETSTRING(99, "\0005:Hello,", "B");
    NETSTRING(99, "5\n", "B");
    NETSTRING(99, "Hello\n", "B");
    NETSTRING(99, "/:", "B"); /* the neighbours of the digits */
    NETSTRING(99, "1/:", "B");
}

static void a_declared_length_is_refused_without_waiting_for_the_colon(void **state)
{
    (void) state;
    NETSTRING(99, "99", "~");
    NETSTRING(99, "100", "L100");
    NETSTRING(99, "1000000000", "L100");
    NETSTRING(99, "100:", "L100");
    NETSTRING(99, "4294967297:a,", "L429");
    NETSTRING(5120, "5121:", "L5121");
    NETSTRING(5120, "5120:", "~");
    NETSTRING(1, "2:ab,", "L2");
    /* What does not fit into size_t: none of these may wrap around to something small. */
    NETSTRING(99, "18446744073709551617:a,", "L184");
    NETSTRING(SIZE_MAX, "18446744073709551615:", "~");
    NETSTRING(SIZE_MAX, "18446744073709551616:", "L18446744073709551615");
    NETSTRING(SIZE_MAX, "18446744073709551617:a,", "L18446744073709551615");
    NETSTRING(SIZE_MAX, "184467440737095516150:a,", "L18446744073709551615");
    NETSTRING(SIZE_MAX - 1, "18446744073709551615:", "L18446744073709551615");
}

static void an_overlong_message_gives_exactly_one_pair_of_events(void **state)
{
    (void) state;
    struct frame_rules rules = {FRAME_LINE, 4, WORD};
    struct feeder feeder = {.rules = rules};
    /* Longer than the limit many times over: others answered once for each buffer full. */
    for (size_t i = 0; i < 64; i++)
        feeder_feed(&feeder, BYTES("12345678\r"));
    feeder_feed(&feeder, BYTES("\n"));
    feeder_end(&feeder);
    assert_int_equal(feeder.seen[FRAME_OVERSIZE], 1);
    assert_int_equal(feeder.seen[FRAME_OVERSIZE_END], 1);
    assert_true(trace_equals(&feeder.trace, BYTES("!!575.")));
}

static void an_error_is_still_told_at_later_calls(void **state)
{
    (void) state;
    static const struct {
        const char *input;
        enum frame_outcome outcome;
        size_t size;
    } rows[] = {{"x", FRAME_BAD, 0}, {"1:ab", FRAME_BAD, 0}, {"12:", FRAME_BAD_LENGTH, 12}};
    struct frame_rules rules = {FRAME_NETSTRING, 9, NULL};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct frame_decoder decoder = {0};
        struct frame frame;
        size_t size = strlen(rows[i].input);
        assert_int_equal(frame_next(&rules, &decoder, rows[i].input, size, &frame),
                         rows[i].outcome);
        assert_int_equal(frame.consumed, size);
        assert_int_equal(frame.size, rows[i].size);
        /* Nothing behind it is a message, however well-formed. */
        assert_int_equal(frame_next(&rules, &decoder, BYTES("1:a,"), &frame), rows[i].outcome);
        assert_int_equal(frame.consumed, 4);
        assert_int_equal(frame.size, rows[i].size);
        assert_false(frame_is_partial(&decoder, 0));
        assert_int_equal(frame_end(&rules, &decoder, 0, &frame), rows[i].outcome);
        assert_int_equal(frame.size, rows[i].size);
    }
}

static void messages_ahead_of_an_error_are_delivered_first(void **state)
{
    (void) state;
    NETSTRING(5, "5:Hello,1:a,x", "[Hello][a]B");
    NETSTRING(5, "5:Hello,6:Hello!,1:a,", "[Hello]L6");
    NETSTRING(5, "5:Hello;", "B");
    NETSTRING(5, "1:a,1:ab,", "[a]B");
    LINE(4, "a\nb\n12345\nc", "[a][b]!!5~");
}

/* Deliberate, and written down in banter-protocol(7): both line ends, mixed as one likes. */
static void a_bare_lf_ends_a_line_as_cr_lf_does(void **state)
{
    (void) state;
    LINE(8, "a\nb\r\nc\n", "[a][b][c].");
    LINE(8, "\n\r\n\n", "[][][].");
}

static void half_a_message_is_never_a_message(void **state)
{
    (void) state;
    LINE(8, "", ".");
    LINE(8, "rm -r x", "~");
    LINE(8, "a\nb", "[a]~");
    LINE(2, "a\n1234", "[a]!!4");
    LINE(8, WORD, "~");
    NETSTRING(8, "", ".");
    NETSTRING(8, "5", "~");
    NETSTRING(8, "5:", "~");
    NETSTRING(8, "5:Hello", "~");
    NETSTRING(8, "1:a,0", "[a]~");
    NETSTRING(8, "1:a,0:", "[a]~");
}

/* --- The exempt word --- */

static void the_word_is_a_message_whatever_the_limit_is(void **state)
{
    (void) state;
    for (size_t max_bytes = 1; max_bytes <= 12; max_bytes++) {
        LINE(max_bytes, WORD "\n", "[" WORD "].");
        LINE(max_bytes, WORD "\r\n", "[" WORD "].");
        LINE(max_bytes,
             WORD " \t\v\f\r\n"
                  "a\n",
             "[" WORD "][a].");
        LINE(max_bytes, WORD "\r\r\n", "[" WORD "].");
        LINE(max_bytes, WORD "    \r   \r\r\n" WORD "\n", "[" WORD "][" WORD "].");
        NETSTRING(max_bytes, "8:" WORD ",1:a,", "[" WORD "][a].");
    }
}

static void what_only_begins_like_the_word_is_oversize(void **state)
{
    (void) state;
    for (size_t max_bytes = 1; max_bytes <= 5; max_bytes++) {
        LINE(max_bytes, "--QUIT\na\n", "!!6[a].");
        LINE(max_bytes, "--QUIT\r\na\n", "!!6[a].");
        LINE(max_bytes, "--QUIT-\rx\na\n", "!!9[a].");
        LINE(max_bytes, WORD "--\na\n", "!!10[a].");
        LINE(max_bytes, WORD "   x   \r\na\n", "!!15[a].");
        LINE(max_bytes, WORD " \r \rx\na\n", "!!13[a].");
        LINE(max_bytes, WORD "\0\na\n", "!!9[a].");
        LINE(max_bytes, " " WORD "\na\n", "!!9[a].");
        LINE(max_bytes, WORD " " WORD "\na\n", "!!17[a].");
        LINE(max_bytes, "--quit--\na\n", "!!8[a].");
        LINE(max_bytes, WORD " x\r", "!!11");
        /* An end of stream that comes while it may still be the word. */
        LINE(max_bytes, WORD, "~");
        LINE(max_bytes, WORD " \r", "~");
        LINE(max_bytes, "--QUIT", "~");
    }
    LINE(10, "--QUIT\n" WORD "x\n", "[--QUIT][" WORD "x].");
}

static void oversize_is_told_with_the_byte_that_makes_it_certain(void **state)
{
    (void) state;
    static const struct {
        const char *before; /* nothing yet */
        const char *byte;   /* and with this it is certain */
    } rows[] = {{"1234", "5"},   {"1234\r", "5"},   {"1234\r", "\r"},  {"--QUI", "X"},
                {"--QUI", "\r"}, {WORD "   ", "x"}, {"--QUIT-", "\n"}, {WORD, "-"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct feeder feeder = {.rules = {FRAME_LINE, 4, WORD}};
        feeder_feed(&feeder, rows[i].before, strlen(rows[i].before));
        assert_int_equal(feeder.trace.size, 0);
        assert_true(frame_is_partial(&feeder.decoder, feeder.held_size));
        feeder_feed(&feeder, rows[i].byte, 1);
        assert_int_equal(feeder.seen[FRAME_OVERSIZE], 1);
        feeder_end(&feeder);
    }
}

static void without_a_word_none_is_exempt(void **state)
{
    (void) state;
    struct frame_rules line = {FRAME_LINE, 4, NULL};
    check_all_cuts(&line, BYTES(WORD "\n-\n"), BYTES("!!8[-]."));
    struct frame_rules longer = {FRAME_LINE, 20, NULL};
    check_all_cuts(&longer, BYTES(WORD "  \n"), BYTES("[" WORD "  ]."));
    struct frame_rules netstring = {FRAME_NETSTRING, 4, NULL};
    check_all_cuts(&netstring, BYTES("8:" WORD ","), BYTES("L8"));
}

static void the_word_s_length_in_a_netstring_waits_for_the_payload(void **state)
{
    (void) state;
    NETSTRING(4, "8:", "~");
    NETSTRING(4, "8:--QUIT", "~");
    NETSTRING(4, "8:" WORD, "~");
    NETSTRING(4, "8:--QUIX--,", "L8");
    NETSTRING(4, "8:x", "L8");
    NETSTRING(4, "8:" WORD ";", "B");
    NETSTRING(4, "80:", "L80");
    NETSTRING(4, "8x", "B");
    NETSTRING(4, "9:" WORD " ,", "L9");
    NETSTRING(9, "9:" WORD " ,", "[" WORD " ].");
    /* A longer word: its first digits alone are over the limit, and may yet become its length. */
    struct frame_rules rules = {FRAME_NETSTRING, 1, "word-of-23-bytes-or-so."};
    check_all_cuts(&rules, BYTES("23:word-of-23-bytes-or-so.,1:a,"),
                   BYTES("[word-of-23-bytes-or-so.][a]."));
    check_all_cuts(&rules, BYTES("2:ab,"), BYTES("L2"));
    check_all_cuts(&rules, BYTES("2:wo,"), BYTES("L2")); /* not a part of it either */
    check_all_cuts(&rules, BYTES("2:"), BYTES("L2"));
    check_all_cuts(&rules, BYTES("2"), BYTES("~"));
    check_all_cuts(&rules, BYTES("22"), BYTES("L22"));
    check_all_cuts(&rules, BYTES("230"), BYTES("L230"));
    check_all_cuts(&rules, BYTES("3"), BYTES("L3"));
}

/* --- Line ends --- */

static void each_line_says_how_it_ended(void **state)
{
    (void) state;
    for (enum frame_codec codec = FRAME_LINE; codec <= FRAME_CRLF; codec++) {
        check_ends(codec, "a\nb\r\nc\n\n\r\n\r\r\n", "nrnnrr");
        check_ends(codec, "12345\r\na\n12345\na\r\n", "nr");
        check_ends(codec, "a\r", "");
    }
    check_ends(FRAME_BLOCK, "a\n.\nb\r\n.\r\n.\n.\r\n\r\n.\n", "nrnrn");
    check_ends(FRAME_NETSTRING, "2:\r\n,", "n");
}

static void an_oversize_line_says_how_it_ends_if_its_end_is_there(void **state)
{
    (void) state;
    static const struct {
        const char *input;
        bool in_crlf;
    } rows[] = {{"12345\r\n", true}, {"12345\n", false}, {"12345\r", false}, {"12345", false}};
    struct frame_rules rules = {FRAME_LINE, 4, WORD};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct frame_decoder decoder = {0};
        struct frame frame;
        assert_int_equal(frame_next(&rules, &decoder, rows[i].input, strlen(rows[i].input), &frame),
                         FRAME_OVERSIZE);
        assert_int_equal(frame.ends_in_crlf, rows[i].in_crlf);
    }
}

static void an_answer_s_codec_ends_as_its_request(void **state)
{
    (void) state;
    static const struct {
        enum frame_codec codec, with_lf, with_crlf;
    } rows[] = {
        {FRAME_LINE, FRAME_LINE, FRAME_CRLF},
        {FRAME_CRLF, FRAME_CRLF, FRAME_CRLF},
        {FRAME_BLOCK, FRAME_BLOCK, FRAME_BLOCK_CRLF},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(frame_codec_ending(rows[i].codec, false), rows[i].with_lf);
        assert_int_equal(frame_codec_ending(rows[i].codec, true), rows[i].with_crlf);
    }
    /* Others have no line ends, and so no message that says one. */
    assert_int_equal(frame_codec_ending(FRAME_NETSTRING, false), FRAME_NETSTRING);
    assert_int_equal(frame_codec_ending(FRAME_RAW, false), FRAME_RAW);
    for (enum frame_codec codec = FRAME_LINE; codec <= FRAME_RAW; codec++) {
        bool is_block = codec == FRAME_BLOCK || codec == FRAME_BLOCK_CRLF;
        assert_int_equal(frame_codec_of_requests(codec), is_block ? FRAME_LINE : codec);
    }
}

static void crlf_takes_what_line_takes(void **state)
{
    (void) state;
    struct frame_rules rules = {FRAME_CRLF, 4, WORD};
    check_all_cuts(&rules, BYTES("a\nb\r\n12345\n\r\n" WORD " \r\na\rb\nc"),
                   BYTES("[a][b]!!5[][" WORD "][a\rb]~"));
}

/* --- Block --- */

static void a_block_is_its_lines_joined_by_lf(void **state)
{
    (void) state;
    BLOCK(9, "", ".");
    BLOCK(9, "Zack\n.\n", "[Zack].");
    BLOCK(9, "a\nb\nc\n.\n", "[a\nb\nc].");
    BLOCK(9, "a\r\nb\r\nc\r\n.\r\n", "[a\nb\nc].");
    BLOCK(9, "a\r\nb\n.\r\n", "[a\nb].");
    BLOCK(9, ".\n.\r\n\n.\n\n\n.\n", "[][][][\n].");
    BLOCK(9, "\r\na\n\n.\n", "[\na\n].");
    BLOCK(9, "a\rb\n\rc\n.\n", "[a\rb\n\rc].");
    BLOCK(9, "a\0\n\0\n.\n", "[a\0\n\0].");
    BLOCK(9, WORD "\n.\n", "[" WORD "].");
}

static void one_dot_is_taken_off_a_line(void **state)
{
    (void) state;
    BLOCK(9, "..\n.\n", "[.].");
    BLOCK(9, "...\n..a\n.\n", "[..\n.a].");
    BLOCK(9, "..\r\na.\r\n.\r\n", "[.\na.].");
    BLOCK(9, "a\n..\n\n.\n", "[a\n.\n].");
    BLOCK(9, "\n..\n.\n", "[\n.].");
    /* One that was not put there, too: RFC 3977, 3.1.1. */
    BLOCK(9, ".a\n.\n", "[a].");
    BLOCK(9, ". \n.\ra\n.\n", "[ \n\ra].");
    BLOCK(9, ".\r\r\n.\n", "[\r].");
}

static void half_a_block_is_never_a_message(void **state)
{
    (void) state;
    BLOCK(9, "a", "~");
    BLOCK(9, "a\n", "~");
    BLOCK(9, "a\n.", "~");
    BLOCK(9, "a\n.\r", "~");
    BLOCK(9, ".", "~");
    BLOCK(9, "a\n.\nb\n", "[a]~");
}

static void the_limit_counts_the_message_alone(void **state)
{
    (void) state;
    BLOCK(4, "1234\r\n.\r\n1234\n.\n", "[1234][1234].");
    BLOCK(4, "12345", "L18446744073709551615");
    BLOCK(4, "1234\r\r\n", "L18446744073709551615");
    BLOCK(4, "1234\r", "~");
    BLOCK(4, "1\r\n34\r\n.\r\n", "[1\n34].");
    BLOCK(4, "1\n345", "L18446744073709551615");
    BLOCK(4, "..\r\n..\r\n.\r\n", "[.\n.].");
    BLOCK(4, "..\n..\n..\n", "L18446744073709551615");
    BLOCK(4, "....\n.\n.\n", "[...][].");
    BLOCK(1, "a\n.\n.\n", "[a][].");
    BLOCK(1, "a\n.", "~");
    BLOCK(1, "a\n.\r", "~");
    BLOCK(1, "a\n\r", "L18446744073709551615");
    BLOCK(1, "a\n\n", "L18446744073709551615");
    BLOCK(1, "\n\n.\n", "[\n].");
    BLOCK(1, "\n\n\n.\n", "L18446744073709551615");
    /* Sticky: nothing behind it is a message. */
    BLOCK(1, "a\n.\nab\n.\na\n.\n", "[a]L18446744073709551615");
}

static void a_block_without_stuffing_is_a_view(void **state)
{
    (void) state;
    static const struct {
        const char *data;
        size_t size, consumed;
        bool is_stuffed;
    } rows[] = {
        {"a\nb\n.\nc", 3, 6, false}, {".\n", 0, 2, false},       {"\n.\n", 0, 3, false},
        {"..\n.\n", 3, 5, true},     {"a\r\n.\r\n", 3, 6, true}, {"a\n.\r\n", 1, 5, false},
    };
    struct frame_rules rules = {FRAME_BLOCK, 9, NULL};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct frame_decoder decoder = {0};
        struct frame frame;
        assert_int_equal(frame_next(&rules, &decoder, rows[i].data, strlen(rows[i].data), &frame),
                         FRAME_MESSAGE);
        assert_ptr_equal(frame.message, rows[i].data);
        assert_int_equal(frame.size, rows[i].size);
        assert_int_equal(frame.consumed, rows[i].consumed);
        assert_int_equal(frame.is_stuffed, rows[i].is_stuffed);
    }
}

static void no_byte_is_searched_twice_in_a_block(void **state)
{
    (void) state;
    struct frame_rules rules = {FRAME_BLOCK, 99, NULL};
    struct frame_decoder decoder = {0};
    struct frame frame;
    char data[] = "a\nbcd";
    assert_int_equal(frame_next(&rules, &decoder, data, 5, &frame), FRAME_MORE);
    /* An end that is put where it has looked is not seen. */
    data[3] = '\n';
    assert_int_equal(frame_next(&rules, &decoder, data, 5, &frame), FRAME_MORE);
    assert_int_equal(decoder.line, 2);
}

/* --- Raw --- */

static void raw_makes_each_read_a_message(void **state)
{
    (void) state;
    struct feeder feeder = {.rules = {FRAME_RAW, 4, WORD}};
    feeder_feed(&feeder, BYTES("Zack"));
    feeder_feed(&feeder, BYTES("\n\r\0"));
    feeder_feed(&feeder, BYTES(""));
    feeder_feed(&feeder, BYTES("12345"));
    assert_false(frame_is_partial(&feeder.decoder, feeder.held_size));
    feeder_feed(&feeder, BYTES("a"));
    feeder_end(&feeder);
    assert_true(trace_equals(&feeder.trace, BYTES("[Zack][\n\r\0]!!5[a].")));
}

static void raw_oversize_is_consumed_at_once_and_ends_at_the_next_call(void **state)
{
    (void) state;
    struct frame_rules rules = {FRAME_RAW, 4, WORD};
    struct frame_decoder decoder = {0};
    struct frame frame;
    assert_int_equal(frame_next(&rules, &decoder, BYTES(WORD), &frame), FRAME_OVERSIZE);
    assert_int_equal(frame.consumed, 8);
    assert_int_equal(frame_next(&rules, &decoder, NULL, 0, &frame), FRAME_OVERSIZE_END);
    assert_int_equal(frame.consumed, 0);
    assert_int_equal(frame.size, 8);
    assert_int_equal(frame_next(&rules, &decoder, NULL, 0, &frame), FRAME_MORE);
    assert_int_equal(frame_end(&rules, &decoder, 0, &frame), FRAME_END);
    /* The stream may end in between. */
    assert_int_equal(frame_next(&rules, &decoder, BYTES("12345"), &frame), FRAME_OVERSIZE);
    assert_int_equal(frame_end(&rules, &decoder, 0, &frame), FRAME_OVERSIZE_END);
    assert_int_equal(frame.size, 5);
    assert_int_equal(frame_end(&rules, &decoder, 0, &frame), FRAME_END);
}

/* --- Encoding --- */

static void encoding_frames_or_refuses(void **state)
{
    (void) state;
    static const struct {
        enum frame_codec codec;
        enum frame_refusal refusal;
        const char *message;
        size_t size;
        const char *wire; /* where it fits */
        size_t wire_size;
    } rows[] = {
        {FRAME_LINE, FRAME_FITS, BYTES("Zack"), BYTES("Zack\n")},
        {FRAME_LINE, FRAME_FITS, NULL, 0, BYTES("\n")},
        {FRAME_LINE, FRAME_FITS, BYTES("a\rb\0c"), BYTES("a\rb\0c\n")},
        {FRAME_LINE, FRAME_FITS, BYTES("12345678"), BYTES("12345678\n")},
        {FRAME_LINE, FRAME_IS_TOO_LONG, BYTES("123456789"), NULL, 0},
        {FRAME_LINE, FRAME_HAS_LF, BYTES("a\nb"), NULL, 0},
        {FRAME_LINE, FRAME_HAS_LF, BYTES("a\n"), NULL, 0},
        {FRAME_LINE, FRAME_HAS_LF, BYTES("\n"), NULL, 0},
        {FRAME_LINE, FRAME_HAS_LF, BYTES("a\0\nb"), NULL, 0},
        {FRAME_LINE, FRAME_HAS_LF, BYTES("a\r\n"), NULL, 0},
        {FRAME_LINE, FRAME_ENDS_IN_CR, BYTES("a\r"), NULL, 0},
        {FRAME_LINE, FRAME_ENDS_IN_CR, BYTES("\r"), NULL, 0},
        {FRAME_CRLF, FRAME_FITS, BYTES("Zack"), BYTES("Zack\r\n")},
        {FRAME_CRLF, FRAME_FITS, NULL, 0, BYTES("\r\n")},
        {FRAME_CRLF, FRAME_FITS, BYTES(".\rb\0c"), BYTES(".\rb\0c\r\n")},
        {FRAME_CRLF, FRAME_IS_TOO_LONG, BYTES("123456789"), NULL, 0},
        {FRAME_CRLF, FRAME_HAS_LF, BYTES("a\r\n"), NULL, 0},
        {FRAME_CRLF, FRAME_ENDS_IN_CR, BYTES("a\r"), NULL, 0},
        {FRAME_BLOCK, FRAME_FITS, NULL, 0, BYTES(".\n")},
        {FRAME_BLOCK, FRAME_FITS, BYTES("Zack"), BYTES("Zack\n.\n")},
        {FRAME_BLOCK, FRAME_FITS, BYTES("a\nb\n"), BYTES("a\nb\n\n.\n")},
        {FRAME_BLOCK, FRAME_FITS, BYTES("\n"), BYTES("\n\n.\n")},
        {FRAME_BLOCK, FRAME_FITS, BYTES("."), BYTES("..\n.\n")},
        {FRAME_BLOCK, FRAME_FITS, BYTES("a\n..\n.b"), BYTES("a\n...\n..b\n.\n")},
        {FRAME_BLOCK, FRAME_FITS, BYTES("a.\0\n\rb"), BYTES("a.\0\n\rb\n.\n")},
        {FRAME_BLOCK, FRAME_FITS, BYTES("a\n.\nb\n.\n"), BYTES("a\n..\nb\n..\n\n.\n")},
        {FRAME_BLOCK, FRAME_FITS, BYTES("1234\n678"), BYTES("1234\n678\n.\n")},
        {FRAME_BLOCK, FRAME_IS_TOO_LONG, BYTES("1234\n6789"), NULL, 0},
        {FRAME_BLOCK, FRAME_LINE_ENDS_IN_CR, BYTES("a\r"), NULL, 0},
        {FRAME_BLOCK, FRAME_LINE_ENDS_IN_CR, BYTES("a\r\nb"), NULL, 0},
        {FRAME_BLOCK, FRAME_LINE_ENDS_IN_CR, BYTES("\n\r\n"), NULL, 0},
        {FRAME_BLOCK_CRLF, FRAME_FITS, NULL, 0, BYTES(".\r\n")},
        {FRAME_BLOCK_CRLF, FRAME_FITS, BYTES("Zack"), BYTES("Zack\r\n.\r\n")},
        {FRAME_BLOCK_CRLF, FRAME_FITS, BYTES("a\n.\n"), BYTES("a\r\n..\r\n\r\n.\r\n")},
        {FRAME_BLOCK_CRLF, FRAME_FITS, BYTES(".\rb"), BYTES("..\rb\r\n.\r\n")},
        {FRAME_BLOCK_CRLF, FRAME_LINE_ENDS_IN_CR, BYTES("a\n\r"), NULL, 0},
        {FRAME_NETSTRING, FRAME_FITS, BYTES("Hello"), BYTES("5:Hello,")},
        {FRAME_NETSTRING, FRAME_FITS, BYTES("a\n\0\r"), BYTES("4:a\n\0\r,")},
        {FRAME_NETSTRING, FRAME_FITS, NULL, 0, BYTES("0:,")},
        {FRAME_NETSTRING, FRAME_IS_TOO_LONG, BYTES("123456789"), NULL, 0},
        {FRAME_RAW, FRAME_FITS, BYTES("a\n\r"), BYTES("a\n\r")},
        {FRAME_RAW, FRAME_IS_EMPTY, NULL, 0, NULL, 0},
        {FRAME_RAW, FRAME_IS_TOO_LONG, BYTES("123456789"), NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct frame_edges edges;
        struct frame_edges untouched;
        memset(&edges, 0x5a, sizeof edges);
        memset(&untouched, 0x5a, sizeof untouched);
        enum frame_refusal refusal =
            frame_encode(rows[i].codec, rows[i].message, rows[i].size, 8, &edges);
        if (refusal != rows[i].refusal)
            fail_msg("row %zu: %s", i, frame_refusal_text(refusal));
        struct buffer out = {0};
        assert_int_equal(frame_put(&out, rows[i].codec, rows[i].message, rows[i].size, 8), refusal);
        assert_int_equal(buffer_size(&out), rows[i].wire_size);
        assert_memory_equal(buffer_head(&out), rows[i].wire, rows[i].wire_size);
        buffer_fini(&out);
        if (refusal != FRAME_FITS) {
            assert_memory_equal(&edges, &untouched, sizeof edges);
            continue;
        }
        assert_true(buffer_append(&out, BYTES("<")));
        assert_true(frame_append(&out, &edges, rows[i].message, rows[i].size));
        assert_int_equal(buffer_size(&out), 1 + rows[i].wire_size);
        assert_memory_equal(buffer_head(&out) + 1, rows[i].wire, rows[i].wire_size);
        buffer_fini(&out);
    }
}

static void the_longest_length_fits_into_the_head(void **state)
{
    (void) state;
    struct frame_edges edges;
    assert_int_equal(frame_encode(FRAME_NETSTRING, NULL, SIZE_MAX, SIZE_MAX, &edges), FRAME_FITS);
    assert_int_equal(edges.head_size, strlen("18446744073709551615:"));
    assert_memory_equal(edges.head, "18446744073709551615:", edges.head_size);
    /* And an append for which there is no memory leaves the buffer as it was. */
    struct buffer out = {0};
    assert_true(buffer_append(&out, BYTES("<")));
    assert_false(frame_append(&out, &edges, "", SIZE_MAX - 100));
    assert_int_equal(frame_put(&out, FRAME_NETSTRING, "", SIZE_MAX - 100, SIZE_MAX),
                     FRAME_NO_MEMORY);
    assert_int_equal(buffer_size(&out), 1);
    buffer_fini(&out);
}

static void what_is_encoded_is_decoded_to_the_same(void **state)
{
    (void) state;
    static const struct {
        const char *message;
        size_t size;
    } messages[] = {{BYTES("Zack")}, {BYTES("")},       {BYTES("a\rb")},
                    {BYTES("\0")},   {BYTES("12:ab,")}, {BYTES(WORD)}};
    static const enum frame_codec codecs[] = {FRAME_LINE, FRAME_CRLF, FRAME_BLOCK, FRAME_BLOCK_CRLF,
                                              FRAME_NETSTRING};
    for (size_t c = 0; c < sizeof codecs / sizeof codecs[0]; c++) {
        struct buffer wire = {0};
        struct trace expected = {.size = 0};
        for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
            struct frame_edges edges;
            assert_int_equal(
                frame_encode(codecs[c], messages[i].message, messages[i].size, 8, &edges),
                FRAME_FITS);
            assert_true(frame_append(&wire, &edges, messages[i].message, messages[i].size));
            trace_outcome(&expected, FRAME_MESSAGE, messages[i].message, messages[i].size);
        }
        trace_outcome(&expected, FRAME_END, NULL, 0);
        struct frame_rules rules = {codecs[c], 8, WORD};
        check_all_cuts(&rules, buffer_head(&wire), buffer_size(&wire), expected.text,
                       expected.size);
        buffer_fini(&wire);
    }
}

/* What frame_next_lines() should find: message after message, as frame_next() gives them, as long
 * as each is on the wire as it would be sent. */
static size_t simple_lines(const struct frame_rules *rules, const char *data, size_t size,
                           size_t max_count, size_t *count)
{
    struct frame_decoder decoder = {0};
    struct frame frame;
    size_t taken = 0;
    for (*count = 0; *count < max_count; ++*count) {
        const char *at = data + taken;
        if (frame_next(rules, &decoder, at, size - taken, &frame) != FRAME_MESSAGE ||
            frame.consumed != frame.size + 1 || *at == '-' || *at == '\0')
            break;
        taken += frame.consumed;
    }
    return taken;
}

static void the_lines_are_those_that_need_no_look(void **state)
{
    (void) state;
    static const char alphabet[] = {'a', '-', '\r', '\n', '\0'};
    enum { LETTERS = sizeof alphabet, LENGTH = 7 };
    struct frame_rules rules = {FRAME_LINE, 2, NULL};
    size_t found = 0;
    /* Every stream of so many bytes. */
    for (size_t number = 0; number < 78125; number++) {
        char data[LENGTH];
        size_t rest = number;
        for (size_t i = 0; i < LENGTH; i++, rest /= LETTERS)
            data[i] = alphabet[rest % LETTERS];
        for (size_t max_count = 0; max_count <= LENGTH; max_count += 2) {
            struct frame_decoder decoder = {0};
            size_t count = 99;
            size_t expected = 0;
            size_t size = frame_next_lines(&rules, &decoder, data, LENGTH, "-", max_count, &count);
            assert_int_equal(size, simple_lines(&rules, data, LENGTH, max_count, &expected));
            assert_int_equal(count, expected);
            found += count > 1;
        }
    }
    assert_true(found > 1000);
}

static void there_are_no_lines_within_a_message_nor_in_other_codecs(void **state)
{
    (void) state;
    static const char data[] = "a\nb\n";
    struct frame_decoder decoder = {0};
    struct frame frame;
    size_t count = 99;
    for (enum frame_codec codec = FRAME_CRLF; codec <= FRAME_RAW; codec++) {
        struct frame_rules rules = {codec, 100, NULL};
        assert_int_equal(frame_next_lines(&rules, &decoder, data, 4, "", 9, &count), 0);
        assert_int_equal(count, 0);
    }
    struct frame_rules rules = {FRAME_LINE, 100, NULL};
    assert_int_equal(frame_next_lines(&rules, &decoder, data, 4, "", 9, &count), 4);
    assert_int_equal(count, 2);
    assert_int_equal(frame_next_lines(&rules, &decoder, NULL, 0, "", 9, &count), 0);
    assert_int_equal(frame_next(&rules, &decoder, data, 1, &frame), FRAME_MORE);
    assert_int_equal(frame_next_lines(&rules, &decoder, data, 4, "", 9, &count), 0);
    assert_int_equal(count, 0);
}

static void refusals_and_codecs_have_names(void **state)
{
    (void) state;
    for (int refusal = FRAME_FITS; refusal <= FRAME_NO_MEMORY; refusal++)
        assert_memory_equal(frame_refusal_text((enum frame_refusal) refusal), "it ", 3);
    static const struct {
        enum frame_codec codec;
        const char *name;
    } names[] = {{FRAME_LINE, "line"},
                 {FRAME_CRLF, "crlf"},
                 {FRAME_BLOCK, "block"},
                 {FRAME_NETSTRING, "netstring"},
                 {FRAME_RAW, "raw"}};
    static const char *const others[] = {"", "lin", "lines", "LINE", "json"};
    enum frame_codec codec = FRAME_RAW;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_true(frame_codec_from_name(names[i].name, &codec));
        assert_int_equal(codec, names[i].codec);
        assert_string_equal(frame_codec_name(codec), names[i].name);
        assert_non_null(strstr(FRAME_CODEC_NAMES, names[i].name));
    }
    assert_string_equal(frame_codec_name(FRAME_BLOCK_CRLF), "block");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(frame_codec_from_name(others[i], &codec));
}

static void a_decoder_stays_small(void **state)
{
    (void) state;
    /* Each active session holds one. */
    assert_true(sizeof(struct frame_decoder) <= 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oversize_is_told_once_and_not_at_each_call),
        cmocka_unit_test(throwing_away_survives_pieces_without_a_newline),
        cmocka_unit_test(throwing_away_stops_with_the_message),
        cmocka_unit_test(an_oversize_message_that_is_wholly_there_is_skipped_exactly),
        cmocka_unit_test(no_offset_is_left_behind_by_throwing_away),
        cmocka_unit_test(no_byte_is_searched_twice_in_a_line),
        cmocka_unit_test(no_byte_is_searched_twice_in_a_netstring),
        cmocka_unit_test(oversize_bytes_are_not_kept),
        cmocka_unit_test(messages_are_views_and_nothing_is_moved),
        cmocka_unit_test(the_limit_does_not_depend_on_how_bytes_were_cut),
        cmocka_unit_test(a_pipeline_of_small_messages_is_not_oversize),
        cmocka_unit_test(a_nul_does_not_end_the_search),
        cmocka_unit_test(a_lone_cr_is_data),
        cmocka_unit_test(cr_lf_over_two_reads_is_one_line_end),
        cmocka_unit_test(after_a_cr_at_the_end_of_a_full_buffer_the_lf_still_counts),
        cmocka_unit_test(a_declared_length_is_digits_and_no_leading_zero),
        cmocka_unit_test(a_declared_length_is_refused_without_waiting_for_the_colon),
        cmocka_unit_test(an_overlong_message_gives_exactly_one_pair_of_events),
        cmocka_unit_test(an_error_is_still_told_at_later_calls),
        cmocka_unit_test(messages_ahead_of_an_error_are_delivered_first),
        cmocka_unit_test(a_bare_lf_ends_a_line_as_cr_lf_does),
        cmocka_unit_test(half_a_message_is_never_a_message),
        cmocka_unit_test(the_word_is_a_message_whatever_the_limit_is),
        cmocka_unit_test(what_only_begins_like_the_word_is_oversize),
        cmocka_unit_test(oversize_is_told_with_the_byte_that_makes_it_certain),
        cmocka_unit_test(without_a_word_none_is_exempt),
        cmocka_unit_test(the_word_s_length_in_a_netstring_waits_for_the_payload),
        cmocka_unit_test(each_line_says_how_it_ended),
        cmocka_unit_test(an_oversize_line_says_how_it_ends_if_its_end_is_there),
        cmocka_unit_test(an_answer_s_codec_ends_as_its_request),
        cmocka_unit_test(crlf_takes_what_line_takes),
        cmocka_unit_test(a_block_is_its_lines_joined_by_lf),
        cmocka_unit_test(one_dot_is_taken_off_a_line),
        cmocka_unit_test(half_a_block_is_never_a_message),
        cmocka_unit_test(the_limit_counts_the_message_alone),
        cmocka_unit_test(a_block_without_stuffing_is_a_view),
        cmocka_unit_test(no_byte_is_searched_twice_in_a_block),
        cmocka_unit_test(raw_makes_each_read_a_message),
        cmocka_unit_test(raw_oversize_is_consumed_at_once_and_ends_at_the_next_call),
        cmocka_unit_test(encoding_frames_or_refuses),
        cmocka_unit_test(the_longest_length_fits_into_the_head),
        cmocka_unit_test(what_is_encoded_is_decoded_to_the_same),
        cmocka_unit_test(the_lines_are_those_that_need_no_look),
        cmocka_unit_test(there_are_no_lines_within_a_message_nor_in_other_codecs),
        cmocka_unit_test(refusals_and_codecs_have_names),
        cmocka_unit_test(a_decoder_stays_small),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
