/*
 * fuzz_answer: what a program has written in its turn, taken in pieces, against what its lines mean
 * when all of them are there at once.
 *
 * Input: the rules, the state of the turn, two bytes for the cuts, the text.
 */
#include <string.h>

#include "server/handlers/program/answer.h"
#include "tests/fuzz/fuzz.h"

/* A piece of the text. */
struct part {
    const char *at;
    size_t size;
};

/* All that can be known of the text. */
struct lines {
    struct part kept; /* up to the end of the last reply that is expected */
    size_t count;     /* of the whole lines in it */
    struct part reply[8];
    unsigned replies;
    bool surplus; /* something stands behind it */
};

static bool is_mark(struct part line, const char *mark)
{
    if (line.size > 0 && line.at[line.size - 1] == '\r')
        line.size--;
    return line.size == strlen(mark) && fuzz_is_same(line.at, mark, line.size);
}

/* Reads the text as lines, up to the last reply that is expected. */
static void read_lines(struct lines *lines, const struct reply_rules *rules, unsigned expected,
                       const char *text, size_t size)
{
    const char *end = text + size;
    const char *begin = text; /* of the reply */
    const char *line = text;
    const char *newline;
    *lines = (struct lines){.replies = 0};
    while (line < end && (newline = memchr(line, '\n', (size_t) (end - line)))) {
        struct part this = {line, (size_t) (newline - line)};
        bool mark = rules->end == REPLY_END_LINE && is_mark(this, rules->mark);
        line = newline + 1;
        lines->count++;
        if (mark)
            lines->reply[lines->replies++] = (struct part){begin, (size_t) (this.at - begin)};
        else if (rules->end == REPLY_END_NEWLINE)
            lines->reply[lines->replies++] = (struct part){begin, (size_t) (line - begin)};
        else
            continue;
        begin = line;
        if (lines->replies == expected) {
            end = line;
            break;
        }
    }
    lines->kept = (struct part){text, (size_t) (end - text)};
    lines->surplus = end < text + size;
}

/* ---- verdicts ---- */

/* The outcome, and the reply, if it is one. */
struct meaning {
    enum answer_outcome outcome;
    struct part reply;
};

static struct part without_line_end(struct part text)
{
    if (text.size > 0 && text.at[text.size - 1] == '\n')
        text.size -= text.size > 1 && text.at[text.size - 2] == '\r' ? 2 : 1;
    return text;
}

static struct meaning reply_of(struct part text, const struct reply_rules *rules)
{
    struct part reply = without_line_end(text);
    bool fits = !rules->one_line || reply.size == 0 || !memchr(reply.at, '\n', reply.size);
    return (struct meaning){fits ? ANSWER_REPLY : ANSWER_WRONG, reply};
}

static struct meaning judge(const struct lines *lines, const struct reply_rules *rules,
                            unsigned expected, enum turn_state state)
{
    struct meaning nothing = {.outcome = ANSWER_PENDING}, wrong = {.outcome = ANSWER_WRONG};
    if (rules->end == REPLY_END_WAITS)
        return state == TURN_WAITS || state == TURN_ENDED ? reply_of(lines->kept, rules) : nothing;
    if (lines->kept.size == 0)
        return state == TURN_WAITS ? (struct meaning){.outcome = ANSWER_SILENT} : nothing;
    if (lines->surplus && (rules->end == REPLY_END_NEWLINE || expected > 1))
        return wrong;
    if (lines->replies < expected)
        return state == TURN_WAITS ? wrong : nothing;
    struct meaning meaning = {.outcome = ANSWER_REPLY};
    if (expected == 1)
        meaning = reply_of(lines->reply[0], rules);
    /* Of a program that works on, more may come: but behind a mark, nothing is looked at. */
    if (meaning.outcome == ANSWER_REPLY && state == TURN_WORKS &&
        (rules->end == REPLY_END_NEWLINE || expected > 1))
        meaning.outcome = ANSWER_HELD;
    return meaning;
}

static bool is_reply(const struct answer_verdict *verdict, struct part reply)
{
    return verdict->size == reply.size && fuzz_is_same(verdict->text, reply.at, reply.size);
}

static void check_verdict(const struct answer *answer, const struct lines *lines,
                          const struct reply_rules *rules, enum turn_state state)
{
    struct answer_verdict verdict;
    unsigned expected = answer->more + 1;
    struct meaning meaning = judge(lines, rules, expected, state);
    answer_judge(answer, rules, state, &verdict);
    FUZZ_REQUIRE(verdict.outcome == meaning.outcome);
    FUZZ_REQUIRE((verdict.why[0] != '\0') == (verdict.outcome == ANSWER_WRONG));
    bool is_there = verdict.outcome == ANSWER_REPLY || verdict.outcome == ANSWER_HELD;
    FUZZ_REQUIRE(!is_there || expected > 1 || is_reply(&verdict, meaning.reply));
}

/* Several replies, one after the other. */
static void check_each(const struct answer *answer, const struct lines *lines,
                       const struct reply_rules *rules)
{
    struct answer_verdict verdict;
    size_t offset = 0;
    unsigned count = 0;
    for (; answer_next(answer, rules, &offset, &verdict); count++) {
        FUZZ_REQUIRE(count < lines->replies && offset <= lines->kept.size);
        struct meaning meaning = reply_of(lines->reply[count], rules);
        FUZZ_REQUIRE(verdict.outcome == meaning.outcome);
        FUZZ_REQUIRE(verdict.outcome != ANSWER_REPLY || is_reply(&verdict, meaning.reply));
    }
    FUZZ_REQUIRE(count == lines->replies);
}

static void check_last_line(const struct answer *answer)
{
    char shown[20] = "?";
    answer_last_line(answer, shown, sizeof shown);
    size_t size = buffer_size(&answer->text);
    const char *text = buffer_head(&answer->text);
    while (size > 0 && strchr("\r\n", text[size - 1]) && text[size - 1])
        size--;
    size_t begin = size;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    char expected[400] = "?";
    if (size > begin)
        snprintf(expected, sizeof expected, ": %.*s", (int) (size - begin), text + begin);
    expected[sizeof shown - 1] = '\0';
    FUZZ_REQUIRE(strcmp(shown, expected) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const marks[] = {".", "", "ok", "\r"};
    struct fuzz_input input = {data, size};
    unsigned flags = fuzz_byte(&input);
    struct reply_rules rules = {(enum reply_end) fuzz_below(&input, REPLY_END_LINE + 1),
                                marks[flags & 3], flags & 4};
    enum turn_state state = (enum turn_state) fuzz_below(&input, TURN_FAILED + 1);
    struct answer answer = {.more = rules.end == REPLY_END_WAITS ? 0 : flags >> 3 & 7};
    struct fuzz_cuts cuts = fuzz_cuts(&input);
    if (input.left > 300)
        return -1;
    const char *text = input.left ? (const char *) input.at : "";

    for (size_t at = 0; at < input.left;) {
        size_t piece = fuzz_cut(&cuts, input.left - at);
        FUZZ_REQUIRE(answer_add(&answer, &rules, text + at, piece));
        at += piece;
    }
    struct lines lines;
    read_lines(&lines, &rules, answer.more + 1, text, input.left);
    FUZZ_REQUIRE(buffer_size(&answer.text) == lines.kept.size);
    FUZZ_REQUIRE(fuzz_is_same(buffer_head(&answer.text), text, lines.kept.size));
    FUZZ_REQUIRE(answer.lines == lines.count && answer.replies == lines.replies);
    FUZZ_REQUIRE(answer.surplus == lines.surplus);
    check_verdict(&answer, &lines, &rules, state);
    if (rules.end != REPLY_END_WAITS)
        check_each(&answer, &lines, &rules);
    check_last_line(&answer);
    answer_clear(&answer);
    FUZZ_REQUIRE(buffer_size(&answer.text) == 0 && answer.lines == 0 && !answer.surplus);
    buffer_fini(&answer.text);
    return 0;
}
