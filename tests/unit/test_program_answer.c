/*
 * test_program_answer: what a program has written in its turn, how the turn stands, and what that
 * means.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/protocol.h"
#include "server/handlers/program/answer.h"

#define MORE "the program has answered more than one line"
#define NOT_ENDED "the program has not ended its line"
#define NO_MARK "the program has not ended its answer with the line \"END\""
#define LINES(n) "the answer has " #n " lines: --framing block or netstring carries them"

static const struct reply_rules newline = {.end = REPLY_END_NEWLINE, .one_line = true};
static const struct reply_rules waits = {.end = REPLY_END_WAITS, .one_line = true};
static const struct reply_rules waits_many = {.end = REPLY_END_WAITS};
static const struct reply_rules line = {.end = REPLY_END_LINE, .mark = "END", .one_line = true};
static const struct reply_rules line_many = {.end = REPLY_END_LINE, .mark = "END"};
static const struct reply_rules empty_mark = {.end = REPLY_END_LINE, .mark = ""};

/* Adds the text in parts of `part` bytes, and judges it. */
static void judge(const struct reply_rules *rules, const char *text, size_t part,
                  enum turn_state state, struct answer *answer, struct answer_verdict *verdict)
{
    size_t size = strlen(text);
    for (size_t at = 0; at < size; at += part)
        assert_true(answer_add(answer, rules, text + at, size - at < part ? size - at : part));
    answer_judge(answer, rules, state, verdict);
}

static void test_verdicts(void **state)
{
    (void) state;
    static const struct {
        const struct reply_rules *rules;
        const char *text;
        enum turn_state turn;
        enum answer_outcome outcome;
        const char *reply; /* or why it is wrong */
    } cases[] = {
        /* one line */
        {&newline, "", TURN_WORKS, ANSWER_PENDING, NULL},
        {&newline, "", TURN_RESTS, ANSWER_PENDING, NULL},
        {&newline, "", TURN_WAITS, ANSWER_SILENT, NULL},
        {&newline, "", TURN_ENDED, ANSWER_PENDING, NULL},
        {&newline, "", TURN_FAILED, ANSWER_PENDING, NULL},
        {&newline, "yes\n", TURN_WORKS, ANSWER_HELD, "yes"},
        {&newline, "yes\n", TURN_RESTS, ANSWER_REPLY, "yes"},
        {&newline, "yes\n", TURN_WAITS, ANSWER_REPLY, "yes"},
        {&newline, "yes\n", TURN_ENDED, ANSWER_REPLY, "yes"},
        {&newline, "yes\n", TURN_FAILED, ANSWER_REPLY, "yes"},
        {&newline, "\n", TURN_WAITS, ANSWER_REPLY, ""},
        {&newline, "yes\r\n", TURN_WAITS, ANSWER_REPLY, "yes"},
        {&newline, "\r\n", TURN_WAITS, ANSWER_REPLY, ""},
        {&newline, "y\re\rs\n", TURN_WAITS, ANSWER_REPLY, "y\re\rs"},
        {&newline, "yes", TURN_WORKS, ANSWER_PENDING, NULL},
        {&newline, "yes", TURN_RESTS, ANSWER_PENDING, NULL},
        {&newline, "yes", TURN_WAITS, ANSWER_WRONG, NOT_ENDED},
        {&newline, "yes", TURN_ENDED, ANSWER_PENDING, NULL},
        {&newline, "yes\nno", TURN_WORKS, ANSWER_WRONG, MORE},
        {&newline, "yes\nno\n", TURN_WAITS, ANSWER_WRONG, MORE},
        {&newline, "yes\n\n", TURN_RESTS, ANSWER_WRONG, MORE},
        {&newline, "yes\nno\n", TURN_ENDED, ANSWER_WRONG, MORE},
        /* all that is written */
        {&waits, "", TURN_WORKS, ANSWER_PENDING, NULL},
        {&waits, "", TURN_RESTS, ANSWER_PENDING, NULL},
        {&waits, "", TURN_WAITS, ANSWER_REPLY, ""},
        {&waits, "", TURN_ENDED, ANSWER_REPLY, ""},
        {&waits, "", TURN_FAILED, ANSWER_PENDING, NULL},
        {&waits, "yes\n", TURN_WORKS, ANSWER_PENDING, NULL},
        {&waits, "yes\n", TURN_RESTS, ANSWER_PENDING, NULL},
        {&waits, "yes\n", TURN_WAITS, ANSWER_REPLY, "yes"},
        {&waits, "yes\r\n", TURN_WAITS, ANSWER_REPLY, "yes"},
        {&waits, "yes", TURN_WAITS, ANSWER_REPLY, "yes"},
        {&waits, "yes", TURN_ENDED, ANSWER_REPLY, "yes"},
        {&waits, "yes\n", TURN_FAILED, ANSWER_PENDING, NULL},
        {&waits, "a\nb\n", TURN_WAITS, ANSWER_WRONG, LINES(2)},
        {&waits, "a\nb", TURN_WAITS, ANSWER_WRONG, LINES(2)},
        {&waits, "\n\n\n", TURN_WAITS, ANSWER_WRONG, LINES(3)},
        {&waits_many, "a\nb\n", TURN_WAITS, ANSWER_REPLY, "a\nb"},
        {&waits_many, "a\n\n", TURN_WAITS, ANSWER_REPLY, "a\n"},
        /* the lines before a mark */
        {&line, "", TURN_WAITS, ANSWER_SILENT, NULL},
        {&line, "", TURN_RESTS, ANSWER_PENDING, NULL},
        {&line, "yes\n", TURN_RESTS, ANSWER_PENDING, NULL},
        {&line, "yes\n", TURN_WAITS, ANSWER_WRONG, NO_MARK},
        {&line, "yes\nEND", TURN_WORKS, ANSWER_PENDING, NULL},
        {&line, "yes\nEND\n", TURN_WORKS, ANSWER_REPLY, "yes"},
        {&line, "yes\r\nEND\r\n", TURN_WORKS, ANSWER_REPLY, "yes"},
        {&line, "yes\nEND\nno\n", TURN_WAITS, ANSWER_REPLY, "yes"},
        {&line, "END\n", TURN_RESTS, ANSWER_REPLY, ""},
        {&line, "\nEND\n", TURN_FAILED, ANSWER_REPLY, ""},
        {&line, "xEND\nENDx\nEND\n", TURN_WORKS, ANSWER_WRONG, LINES(2)},
        {&line_many, "a\nb\nEND\n", TURN_WORKS, ANSWER_REPLY, "a\nb"},
        {&line_many, "a\n\nEND\n", TURN_WORKS, ANSWER_REPLY, "a\n"},
        {&empty_mark, "a\n\n", TURN_WORKS, ANSWER_REPLY, "a"},
        {&empty_mark, "\n", TURN_WORKS, ANSWER_REPLY, ""},
    };
    struct answer answer = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t part = 1; part <= strlen(cases[i].text) + 1; part++) {
            struct answer_verdict verdict;
            judge(cases[i].rules, cases[i].text, part, cases[i].turn, &answer, &verdict);
            if (verdict.outcome != cases[i].outcome)
                fail_msg("case %zu: outcome %d", i, (int) verdict.outcome);
            if (verdict.outcome == ANSWER_WRONG) {
                assert_string_equal(verdict.why, cases[i].reply);
            } else if (cases[i].reply) {
                assert_int_equal(verdict.size, strlen(cases[i].reply));
                assert_memory_equal(verdict.text, cases[i].reply, verdict.size);
            }
            answer_clear(&answer);
        }
    buffer_fini(&answer.text);
}

static void test_what_comes_behind_a_reply_is_noted(void **state)
{
    (void) state;
    static const struct {
        const struct reply_rules *rules;
        const char *text;
        bool surplus;
    } cases[] = {
        {&newline, "a\n", false},   {&newline, "a\nb", true},     {&waits, "a\nb\n", false},
        {&line, "a\nEND\n", false}, {&line, "a\nEND\nb\n", true}, {&line, "END\nEND\n", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = {0};
        assert_true(answer_add(&answer, cases[i].rules, cases[i].text, strlen(cases[i].text)));
        assert_int_equal(answer.surplus, cases[i].surplus);
        buffer_fini(&answer.text);
    }
}

/* Three requests were given at once. */
static void test_several_replies(void **state)
{
    (void) state;
#define GIVEN "the program was given 3 requests at once, and has answered "
    static const struct {
        const struct reply_rules *rules;
        const char *text;
        enum turn_state turn;
        enum answer_outcome outcome;
        const char *replies; /* the whole ones, each with a bar behind it; one that is wrong is ! */
        const char *why;
    } cases[] = {
        {&newline, "", TURN_WAITS, ANSWER_SILENT, "", NULL},
        {&newline, "", TURN_RESTS, ANSWER_PENDING, "", NULL},
        {&newline, "a\nb\nc\n", TURN_WAITS, ANSWER_REPLY, "a|b|c|", NULL},
        {&newline, "a\nb\nc\n", TURN_RESTS, ANSWER_REPLY, "a|b|c|", NULL},
        {&newline, "a\nb\nc\n", TURN_WORKS, ANSWER_HELD, "a|b|c|", NULL},
        {&newline, "a\nb\nc\n", TURN_FAILED, ANSWER_REPLY, "a|b|c|", NULL},
        {&newline, "a\r\n\n\r\n", TURN_ENDED, ANSWER_REPLY, "a|||", NULL},
        {&newline, "a\nb\n", TURN_WORKS, ANSWER_PENDING, "a|b|", NULL},
        {&newline, "a\nb\n", TURN_RESTS, ANSWER_PENDING, "a|b|", NULL},
        {&newline, "a\nb\nc", TURN_ENDED, ANSWER_PENDING, "a|b|", NULL},
        {&newline, "a\nb\n", TURN_WAITS, ANSWER_WRONG, "a|b|", GIVEN "2"},
        {&newline, "a", TURN_WAITS, ANSWER_WRONG, "", GIVEN "0"},
        {&newline, "a\nb\nc\nd", TURN_WORKS, ANSWER_WRONG, "a|b|c|", GIVEN "more"},
        {&newline, "a\nb\nc\nd\n", TURN_WAITS, ANSWER_WRONG, "a|b|c|", GIVEN "more"},
        {&line, "a\nEND\nEND\nc\nEND\n", TURN_WAITS, ANSWER_REPLY, "a||c|", NULL},
        {&line, "a\nEND\nb\nb\nEND\nc\nEND\n", TURN_WAITS, ANSWER_REPLY, "a|!|c|", NULL},
        {&line_many, "a\nEND\nb\nb\nEND\nc\nEND\n", TURN_WAITS, ANSWER_REPLY, "a|b\nb|c|", NULL},
        {&line, "a\nEND\nb\nEND\nc\n", TURN_WAITS, ANSWER_WRONG, "a|b|", GIVEN "2"},
        {&line, "a\nEND\nb\nEND\nc\nEND\nd", TURN_RESTS, ANSWER_WRONG, "a|b|c|", GIVEN "more"},
    };
    struct answer answer = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t part = 1; part <= strlen(cases[i].text) + 1; part++) {
            struct answer_verdict verdict;
            char replies[64] = "";
            size_t offset = 0;
            answer.more = 2;
            judge(cases[i].rules, cases[i].text, part, cases[i].turn, &answer, &verdict);
            if (verdict.outcome != cases[i].outcome)
                fail_msg("case %zu: outcome %d", i, (int) verdict.outcome);
            if (cases[i].why)
                assert_string_equal(verdict.why, cases[i].why);
            while (answer_next(&answer, cases[i].rules, &offset, &verdict)) {
                bool wrong = verdict.outcome == ANSWER_WRONG;
                strncat(replies, wrong ? "!" : verdict.text, wrong ? 1 : verdict.size);
                strcat(replies, "|");
            }
            assert_string_equal(replies, cases[i].replies);
            answer_clear(&answer);
        }
    buffer_fini(&answer.text);
}

static void test_nothing_has_no_reply(void **state)
{
    (void) state;
    static const struct reply_rules rules = {.end = REPLY_END_NEWLINE};
    struct answer answer = {.more = 1};
    struct answer_verdict verdict;
    size_t offset = 0;
    assert_false(answer_next(&answer, &rules, &offset, &verdict));
    assert_int_equal(verdict.outcome, ANSWER_PENDING);
    assert_int_equal(offset, 0);
}

static void test_longest_answer(void **state)
{
    (void) state;
    static const struct {
        size_t size;
        const char *end;
        bool too_long;
    } cases[] = {
        {PROTOCOL_MAX_REPLY, "\n", false},
        {PROTOCOL_MAX_REPLY, "\r\n", false},
        {PROTOCOL_MAX_REPLY + 1, "\n", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = {0};
        struct answer_verdict verdict;
        char *text = malloc(cases[i].size);
        memset(text, 'x', cases[i].size);
        assert_true(answer_add(&answer, &newline, text, cases[i].size));
        assert_true(answer_add(&answer, &newline, cases[i].end, strlen(cases[i].end)));
        answer_judge(&answer, &newline, TURN_WAITS, &verdict);
        assert_int_equal(verdict.outcome, cases[i].too_long ? ANSWER_WRONG : ANSWER_REPLY);
        if (cases[i].too_long)
            assert_string_equal(verdict.why, "the program's answer is longer than 16 MiB");
        else
            assert_int_equal(verdict.size, cases[i].size);
        /* What is longer still is not kept. */
        answer_clear(&answer);
        assert_true(answer_add(&answer, &waits, text, cases[i].size));
        assert_false(answer_add(&answer, &waits, text, 8192));
        buffer_fini(&answer.text);
        free(text);
    }
}

static void test_whole_buffers(void **state)
{
    (void) state;
    static const struct {
        size_t size;
        char last;
        bool buffers;
    } cases[] = {{0, 'x', false},   {4096, 'x', true},  {4096, '\n', false},  {4095, 'x', false},
                 {8192, 'x', true}, {8191, 'x', false}, {32768, '\n', false}, {32768, 'x', true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = {0};
        char text[32768];
        memset(text, 'x', sizeof text);
        text[cases[i].size ? cases[i].size - 1 : 0] = cases[i].last;
        assert_true(answer_add(&answer, &waits, text, cases[i].size));
        assert_int_equal(answer_is_buffers(&answer), cases[i].buffers);
        buffer_fini(&answer.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_what_comes_behind_a_reply_is_noted),
        cmocka_unit_test(test_several_replies),
        cmocka_unit_test(test_nothing_has_no_reply),
        cmocka_unit_test(test_longest_answer),
        cmocka_unit_test(test_whole_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
