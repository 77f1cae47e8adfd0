/* answer: collects lines, and judges them by the rules. */
#include "server/handlers/program/answer.h"

#include <stdio.h>
#include <string.h>

#include "common/protocol.h"

enum {
    /* A line's end and a mark may come on top of the longest reply. */
    MAX_BYTES = PROTOCOL_MAX_REPLY + 4096,
    KEPT_BYTES = 64 << 10,
    BUFFER_BYTES = 4096, /* a program's buffer, or a part of it */
};

/* ---- collecting ---- */

/* Without the CR of a line that ends in CR LF. */
static size_t without_cr(const char *text, size_t size)
{
    return size > 0 && text[size - 1] == '\r' ? size - 1 : size;
}

static bool is_mark(const struct reply_rules *rules, const char *line, size_t size)
{
    size = without_cr(line, size);
    return strlen(rules->mark) == size && memcmp(line, rules->mark, size) == 0;
}

/* Whether the replies are complete, so that what comes behind them is not a part of them. */
static bool is_complete(const struct answer *answer, const struct reply_rules *rules)
{
    return answer->marked || (rules->end == REPLY_END_NEWLINE && answer->replies > answer->more);
}

/* Adds a line with its newline, or a part of one. */
static bool add_piece(struct answer *answer, const struct reply_rules *rules, const char *text,
                      size_t size, bool ends)
{
    struct buffer *buffer = &answer->text;
    if (buffer_size(buffer) + size > MAX_BYTES || !buffer_append(buffer, text, size))
        return false;
    if (!ends)
        return true;
    const char *line = buffer_head(buffer) + answer->line_begin;
    size_t length = buffer_size(buffer) - answer->line_begin - 1;
    bool mark = rules->end == REPLY_END_LINE && is_mark(rules, line, length);
    if (mark || rules->end == REPLY_END_NEWLINE)
        answer->replies++;
    answer->marked = mark && answer->replies > answer->more;
    if (!answer->marked)
        answer->line_begin = buffer_size(buffer);
    answer->lines++;
    return true;
}

bool answer_add(struct answer *answer, const struct reply_rules *rules, const char *text,
                size_t size)
{
    while (size > 0 && !is_complete(answer, rules)) {
        const char *newline = memchr(text, '\n', size);
        size_t length = newline ? (size_t) (newline - text) + 1 : size;
        if (!add_piece(answer, rules, text, length, newline))
            return false;
        text += length;
        size -= length;
    }
    answer->surplus = answer->surplus || size > 0;
    return true;
}

void answer_clear(struct answer *answer)
{
    struct buffer kept = answer->text;
    if (kept.capacity > KEPT_BYTES)
        buffer_fini(&kept);
    else
        buffer_clear(&kept);
    *answer = (struct answer){.text = kept};
}

bool answer_is_buffers(const struct answer *answer)
{
    size_t size = buffer_size(&answer->text);
    return size > 0 && size % BUFFER_BYTES == 0 && buffer_head(&answer->text)[size - 1] != '\n';
}

void answer_last_line(const struct answer *answer, char *text, size_t size)
{
    const char *from = buffer_head(&answer->text);
    size_t length = buffer_size(&answer->text);
    while (length > 0 && (from[length - 1] == '\n' || from[length - 1] == '\r'))
        length--;
    const char *newline = length > 0 ? memrchr(from, '\n', length) : NULL;
    size_t begin = newline ? (size_t) (newline - from) + 1 : 0;
    if (length > begin)
        snprintf(text, size, ": %.*s", (int) (length - begin < size ? length - begin : size),
                 from + begin);
}

/* ---- judging ---- */

static void wrong(struct answer_verdict *verdict, const char *why)
{
    verdict->outcome = ANSWER_WRONG;
    snprintf(verdict->why, sizeof verdict->why, "%s", why);
}

static size_t count_lines(const char *text, size_t size)
{
    size_t lines = 1;
    for (const char *end = text + size; (text = memchr(text, '\n', (size_t) (end - text))); text++)
        lines++;
    return lines;
}

/* The text, of which a newline at the end does not count, is the reply. */
static void reply(const char *text, size_t size, const struct reply_rules *rules,
                  struct answer_verdict *verdict)
{
    if (size > 0 && text[size - 1] == '\n')
        size = without_cr(text, size - 1);
    if (size > PROTOCOL_MAX_REPLY) {
        wrong(verdict, "the program's answer is longer than 16 MiB");
        return;
    }
    if (rules->one_line && rules->end != REPLY_END_NEWLINE && size > 0 &&
        memchr(text, '\n', size)) {
        verdict->outcome = ANSWER_WRONG;
        snprintf(verdict->why, sizeof verdict->why,
                 "the answer has %zu lines: --framing block or netstring carries them",
                 count_lines(text, size));
        return;
    }
    verdict->outcome = ANSWER_REPLY;
    verdict->text = size > 0 ? text : "";
    verdict->size = size;
}

static void judge_line(const struct answer *answer, const struct reply_rules *rules,
                       enum turn_state state, struct answer_verdict *verdict)
{
    if (answer->surplus) {
        wrong(verdict, "the program has answered more than one line");
    } else if (answer->lines > 0) {
        reply(buffer_head(&answer->text), buffer_size(&answer->text), rules, verdict);
        if (verdict->outcome == ANSWER_REPLY && state == TURN_WORKS)
            verdict->outcome = ANSWER_HELD;
    } else if (state == TURN_WAITS) {
        wrong(verdict, "the program has not ended its line");
    }
}

static void judge_marked(const struct answer *answer, const struct reply_rules *rules,
                         enum turn_state state, struct answer_verdict *verdict)
{
    if (answer->marked) {
        reply(buffer_head(&answer->text), answer->line_begin, rules, verdict);
    } else if (state == TURN_WAITS) {
        verdict->outcome = ANSWER_WRONG;
        snprintf(verdict->why, sizeof verdict->why,
                 "the program has not ended its answer with the line \"%.100s\"", rules->mark);
    }
}

static void judge_several(const struct answer *answer, enum turn_state state,
                          struct answer_verdict *verdict)
{
    unsigned expected = answer->more + 1;
    if (answer->surplus) {
        verdict->outcome = ANSWER_WRONG;
        snprintf(verdict->why, sizeof verdict->why,
                 "the program was given %u requests at once, and has answered more", expected);
    } else if (answer->replies == expected) {
        verdict->outcome = state == TURN_WORKS ? ANSWER_HELD : ANSWER_REPLY;
    } else if (state == TURN_WAITS) {
        verdict->outcome = ANSWER_WRONG;
        snprintf(verdict->why, sizeof verdict->why,
                 "the program was given %u requests at once, and has answered %u", expected,
                 answer->replies);
    }
}

bool answer_next(const struct answer *answer, const struct reply_rules *rules, size_t *offset,
                 struct answer_verdict *verdict)
{
    *verdict = (struct answer_verdict){.outcome = ANSWER_PENDING};
    if (buffer_size(&answer->text) == 0) /* its head may be NULL */
        return false;
    const char *begin = buffer_head(&answer->text) + *offset, *line = begin, *newline;
    const char *end = buffer_head(&answer->text) + buffer_size(&answer->text);
    while (line < end && (newline = memchr(line, '\n', (size_t) (end - line)))) {
        bool mark = rules->end == REPLY_END_LINE && is_mark(rules, line, (size_t) (newline - line));
        if (mark || rules->end == REPLY_END_NEWLINE) {
            reply(begin, (size_t) ((mark ? line : newline + 1) - begin), rules, verdict);
            *offset += (size_t) (newline + 1 - begin);
            return true;
        }
        line = newline + 1;
    }
    return false;
}

void answer_judge(const struct answer *answer, const struct reply_rules *rules,
                  enum turn_state state, struct answer_verdict *verdict)
{
    *verdict = (struct answer_verdict){.outcome = ANSWER_PENDING};
    if (rules->end == REPLY_END_WAITS) {
        if (state == TURN_WAITS || state == TURN_ENDED)
            reply(buffer_head(&answer->text), buffer_size(&answer->text), rules, verdict);
    } else if (buffer_size(&answer->text) == 0) {
        if (state == TURN_WAITS)
            verdict->outcome = ANSWER_SILENT;
    } else if (answer->more > 0) {
        judge_several(answer, state, verdict);
    } else if (rules->end == REPLY_END_NEWLINE) {
        judge_line(answer, rules, state, verdict);
    } else {
        judge_marked(answer, rules, state, verdict);
    }
}
