/*
 * frame_feed: feeds bytes to a decoder piece by piece, as a program does that reads a socket, and
 * writes down what came out as text, so that a table can hold it:
 *
 *     [Zack]  message         !7  its end, 7 bytes long
 *     L9      bad length 9    B   malformed
 *     .       end             ~   end with bytes left over
 *     !       oversize
 *
 * Each call of frame_next() sees a heap block of just the bytes that it may look at, for the
 * sanitizers.
 */
#ifndef BANTER_TESTS_FRAME_FEED_H
#define BANTER_TESTS_FRAME_FEED_H

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/frame.h"

/* A string literal with its size, so that it may hold NUL. */
#define BYTES(literal) (literal), (sizeof(literal) - 1)

struct trace {
    char text[1024];
    size_t size;
};

struct feeder {
    struct frame_rules rules;
    struct frame_decoder decoder;
    struct trace trace;
    struct trace ends; /* of each message: n for LF and r for CR LF */
    char *held;        /* what frame_next() has not consumed */
    size_t held_size;
    bool by_lines; /* frame_next_lines() takes what it can; no word is exempt then */
    bool refused;  /* a sticky outcome has come */
    unsigned seen[FRAME_END_PARTIAL + 1]; /* how often each outcome came */
};

static void trace_bytes(struct trace *trace, const char *bytes, size_t size)
{
    if (size > sizeof trace->text - trace->size) {
        fprintf(stderr, "frame_feed: the trace is too short for this test\n");
        abort();
    }
    if (size > 0) /* the pointer may be NULL otherwise */
        memcpy(trace->text + trace->size, bytes, size);
    trace->size += size;
}

__attribute__((format(printf, 2, 3))) static void trace_print(struct trace *trace,
                                                              const char *format, ...)
{
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    trace_bytes(trace, text, (size_t) size);
}

static void trace_outcome(struct trace *trace, enum frame_outcome outcome, const char *message,
                          size_t size)
{
    switch (outcome) {
    case FRAME_MORE:
        break;
    case FRAME_MESSAGE:
        trace_bytes(trace, "[", 1);
        trace_bytes(trace, message, size);
        trace_bytes(trace, "]", 1);
        break;
    case FRAME_OVERSIZE:
        trace_bytes(trace, "!", 1);
        break;
    case FRAME_OVERSIZE_END:
        trace_print(trace, "!%zu", size);
        break;
    case FRAME_BAD_LENGTH:
        trace_print(trace, "L%zu", size);
        break;
    case FRAME_BAD:
        trace_bytes(trace, "B", 1);
        break;
    case FRAME_END:
        trace_bytes(trace, ".", 1);
        break;
    case FRAME_END_PARTIAL:
        trace_bytes(trace, "~", 1);
        break;
    }
}

/* A message, or any other outcome. */
static inline void feeder_take(struct feeder *feeder, enum frame_outcome outcome,
                               const struct frame *frame)
{
    struct buffer plain = {0};
    if (frame->is_stuffed) {
        if (!frame_unstuff(&plain, frame->message, frame->size))
            abort();
        trace_outcome(&feeder->trace, outcome, buffer_head(&plain), buffer_size(&plain));
    } else {
        trace_outcome(&feeder->trace, outcome, frame->message, frame->size);
    }
    buffer_fini(&plain);
    if (outcome == FRAME_MESSAGE)
        trace_bytes(&feeder->ends, frame->ends_in_crlf ? "r" : "n", 1);
}

/* Takes lines that need no look; returns their size. */
static inline size_t feeder_take_lines(struct feeder *feeder, const char *data, size_t size)
{
    size_t count = 0;
    size_t taken = frame_next_lines(&feeder->rules, &feeder->decoder, data, size, "-", 3, &count);
    for (size_t at = 0; at < taken; count--) {
        size_t line_size =
            (size_t) ((const char *) memchr(data + at, '\n', taken - at) - data) - at;
        trace_outcome(&feeder->trace, FRAME_MESSAGE, data + at, line_size);
        trace_bytes(&feeder->ends, "n", 1);
        at += line_size + 1;
    }
    if (count != 0)
        abort();
    return taken;
}

/* One more read of `size` bytes. */
static inline void feeder_feed(struct feeder *feeder, const char *data, size_t size)
{
    size_t total = feeder->held_size + size;
    size_t done = 0;
    char *block = malloc(total + (total == 0));
    if (!block)
        abort();
    if (feeder->held_size > 0)
        memcpy(block, feeder->held, feeder->held_size);
    if (size > 0)
        memcpy(block + feeder->held_size, data, size);
    free(feeder->held);
    feeder->held = NULL;

    while (!feeder->refused) {
        struct frame frame;
        if (feeder->by_lines)
            done += feeder_take_lines(feeder, block + done, total - done);
        enum frame_outcome outcome =
            frame_next(&feeder->rules, &feeder->decoder, block + done, total - done, &frame);
        assert(frame.consumed <= total - done);
        feeder_take(feeder, outcome, &frame);
        feeder->seen[outcome]++;
        feeder->refused = outcome == FRAME_BAD || outcome == FRAME_BAD_LENGTH;
        done += frame.consumed;
        if (outcome == FRAME_MORE)
            break;
    }
    feeder->held_size = total - done;
    if (done == 0) {
        feeder->held = block;
        return;
    }
    if (feeder->held_size > 0) {
        feeder->held = malloc(feeder->held_size);
        if (!feeder->held)
            abort();
        memcpy(feeder->held, block + done, feeder->held_size);
    }
    free(block);
}

/* The end of the stream; a sticky outcome is not written down twice. */
static inline void feeder_end(struct feeder *feeder)
{
    struct frame frame;
    enum frame_outcome outcome =
        frame_end(&feeder->rules, &feeder->decoder, feeder->held_size, &frame);
    if (!feeder->refused) {
        trace_outcome(&feeder->trace, outcome, frame.message, frame.size);
        feeder->seen[outcome]++;
    }
    free(feeder->held);
    feeder->held = NULL;
    feeder->held_size = 0;
}

static inline bool trace_equals(const struct trace *trace, const char *text, size_t size)
{
    return trace->size == size && memcmp(trace->text, text, size) == 0;
}

/* Prints bytes so that they can be pasted into C, for a failing test's report. */
static inline void print_bytes(const char *label, const char *bytes, size_t size)
{
    fprintf(stderr, "%s \"", label);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char) bytes[i];
        if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\')
            fprintf(stderr, "\\%03o", byte);
        else
            fputc(byte, stderr);
    }
    fprintf(stderr, "\" (%zu bytes)\n", size);
}

#endif
