/*
 * frame_splitter: has the whole stream, and looks at it as often as it likes.
 */
#include "tests/unit/frame_splitter.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool starts_with(const char *data, size_t size, const char *text)
{
    return size >= strlen(text) && memcmp(data, text, strlen(text)) == 0;
}

/* The size of a line without the CR that belongs to its end. */
static size_t without_cr(const char *line, size_t size)
{
    return size > 0 && line[size - 1] == '\r' ? size - 1 : size;
}

static bool is_word_and_white(const char *word, const char *line, size_t size)
{
    if (!word || !starts_with(line, size, word))
        return false;
    for (size_t i = strlen(word); i < size; i++)
        if (!strchr(" \t\v\f\r", line[i]) || line[i] == '\0')
            return false;
    return true;
}

static void split_lines(const struct frame_rules *rules, const char *data, size_t size,
                        struct trace *trace, struct trace *ends)
{
    size_t start = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] != '\n')
            continue;
        const char *line = data + start;
        size_t line_size = without_cr(line, i - start);
        start = i + 1;
        if (is_word_and_white(rules->exempt_word, line, line_size)) {
            trace_outcome(trace, FRAME_MESSAGE, rules->exempt_word, strlen(rules->exempt_word));
            trace_bytes(ends, "n", 1);
        } else if (line_size <= rules->max_bytes) {
            trace_outcome(trace, FRAME_MESSAGE, line, line_size);
            trace_bytes(ends, line[line_size] == '\r' ? "r" : "n", 1);
        } else {
            trace_outcome(trace, FRAME_OVERSIZE, NULL, 0);
            trace_outcome(trace, FRAME_OVERSIZE_END, NULL, line_size);
        }
    }
    const char *rest = data + start;
    size_t rest_size = size - start;
    const char *word = rules->exempt_word;
    if (rest_size == 0) {
        trace_outcome(trace, FRAME_END, NULL, 0);
    } else if (without_cr(rest, rest_size) <= rules->max_bytes ||
               is_word_and_white(word, rest, rest_size) ||
               (word && rest_size < strlen(word) && memcmp(word, rest, rest_size) == 0)) {
        trace_outcome(trace, FRAME_END_PARTIAL, NULL, 0);
    } else {
        trace_outcome(trace, FRAME_OVERSIZE, NULL, 0);
        trace_outcome(trace, FRAME_OVERSIZE_END, NULL, rest_size);
    }
}

/* Adds a line of a block, or its beginning, to the message. False: that is over the limit now. */
static bool join(const struct frame_rules *rules, struct trace *message, size_t count,
                 const char *line, size_t size)
{
    if (count > 0)
        trace_bytes(message, "\n", 1);
    size_t dots = size > 0 && line[0] == '.';
    trace_bytes(message, line + dots, without_cr(line + dots, size - dots));
    return message->size <= rules->max_bytes;
}

static void split_blocks(const struct frame_rules *rules, const char *data, size_t size,
                         struct trace *trace, struct trace *ends)
{
    struct trace message = {.size = 0};
    size_t count = 0; /* of the message's lines */
    size_t start = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] != '\n')
            continue;
        const char *line = data + start;
        size_t line_size = i - start;
        start = i + 1;
        if (without_cr(line, line_size) == 1 && line[0] == '.') {
            trace_outcome(trace, FRAME_MESSAGE, message.text, message.size);
            trace_bytes(ends, line_size == 2 ? "r" : "n", 1);
            message.size = 0;
            count = 0;
        } else if (!join(rules, &message, count++, line, line_size)) {
            trace_outcome(trace, FRAME_BAD_LENGTH, NULL, SIZE_MAX);
            return;
        }
    }
    const char *rest = data + start;
    size_t rest_size = size - start;
    bool may_be_the_dot = rest_size == 0 || (without_cr(rest, rest_size) == 1 && rest[0] == '.');
    if (!may_be_the_dot && !join(rules, &message, count, rest, rest_size))
        trace_outcome(trace, FRAME_BAD_LENGTH, NULL, SIZE_MAX);
    else
        trace_outcome(trace, count == 0 && rest_size == 0 ? FRAME_END : FRAME_END_PARTIAL, NULL, 0);
}

/* Whether `data` is the beginning of "LENGTH:". */
static bool is_head_of(size_t length, const char *data, size_t size)
{
    char head[24];
    snprintf(head, sizeof head, "%zu:", length);
    return strlen(head) >= size && memcmp(head, data, size) == 0;
}

/* Whether `data` begins as a netstring that may be declared: the one of `length` bytes, or any
 * up to the limit. */
static bool is_head_or_less(const struct frame_rules *rules, const char *data, size_t size)
{
    size_t word_size = rules->exempt_word ? strlen(rules->exempt_word) : 0;
    for (size_t length = 0; length <= rules->max_bytes; length++)
        if (is_head_of(length, data, size))
            return true;
    return word_size > rules->max_bytes && is_head_of(word_size, data, size);
}

/* A head that can't be right: which error it is shows at its first byte that is wrong. */
static void tell_bad_head(const struct frame_rules *rules, const char *data, struct trace *trace)
{
    char text[24] = "";
    size_t good = 0;
    while (is_head_or_less(rules, data, good + 1))
        good++;
    memcpy(text, data, good + 1);
    bool is_digit = data[good] >= '0' && data[good] <= '9' && data[0] != '0';
    if (is_digit || (data[good] == ':' && good > 0))
        trace_outcome(trace, FRAME_BAD_LENGTH, NULL, (size_t) strtoull(text, NULL, 10));
    else
        trace_outcome(trace, FRAME_BAD, NULL, 0);
}

/* Takes one netstring off the head; its size on the wire, or 0 where the stream ends, well or
 * badly. */
static size_t split_netstring(const struct frame_rules *rules, const char *data, size_t size,
                              struct trace *trace)
{
    size_t head_size = 1;
    while (head_size < size && data[head_size - 1] != ':' &&
           is_head_or_less(rules, data, head_size))
        head_size++;
    if (!is_head_or_less(rules, data, head_size)) {
        tell_bad_head(rules, data, trace);
        return 0;
    }
    if (data[head_size - 1] != ':') {
        trace_outcome(trace, FRAME_END_PARTIAL, NULL, 0);
        return 0;
    }
    size_t length = (size_t) strtoull(data, NULL, 10);
    const char *payload = data + head_size;
    size_t come = size - head_size;
    if (length > rules->max_bytes &&
        memcmp(payload, rules->exempt_word, come < length ? come : length) != 0)
        trace_outcome(trace, FRAME_BAD_LENGTH, NULL, length);
    else if (come < length + 1)
        trace_outcome(trace, FRAME_END_PARTIAL, NULL, 0);
    else if (payload[length] != ',')
        trace_outcome(trace, FRAME_BAD, NULL, 0);
    else {
        trace_outcome(trace, FRAME_MESSAGE, payload, length);
        return head_size + length + 1;
    }
    return 0;
}

static void split_netstrings(const struct frame_rules *rules, const char *data, size_t size,
                             struct trace *trace)
{
    for (size_t at = 0;;) {
        if (at == size) {
            trace_outcome(trace, FRAME_END, NULL, 0);
            return;
        }
        size_t taken = split_netstring(rules, data + at, size - at, trace);
        if (taken == 0)
            return;
        at += taken;
    }
}

void split_stream(const struct frame_rules *rules, const char *data, size_t size,
                  struct trace *trace, struct trace *ends)
{
    if (is_of_lines(rules->codec))
        split_lines(rules, data, size, trace, ends);
    else if (is_block(rules->codec))
        split_blocks(rules, data, size, trace, ends);
    else
        split_netstrings(rules, data, size, trace);
}
