/*
 * Command lines, the notations of their values, and what --help makes of the table. Every text that
 * a person can get to see is held against what it should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/args.h"
#include "tests/unit/args_sample.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- notations ---- */

#define NO_DURATION "is not a duration, such as 90, 0.5s, 500ms, 2m or 1h"
#define TOO_LONG "is more than the longest duration, 596h"

static void test_durations(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int64_t ms;
        const char *error; /* NULL: it is taken */
    } cases[] = {
        {"0", 0, NULL},
        {"0h", 0, NULL},
        {"0.000", 0, NULL},
        {"000", 0, NULL},
        {"90", 90000, NULL},
        {"90s", 90000, NULL},
        {"007s", 7000, NULL},
        {"0.5", 500, NULL},
        {"0.5s", 500, NULL},
        {"1.25s", 1250, NULL},
        {"1.9999s", 1999, NULL},
        {"500ms", 500, NULL},
        {"2m", 120000, NULL},
        {"1.5m", 90000, NULL},
        {"1h", 3600000, NULL},
        {"1.5h", 5400000, NULL},
        {"0.0001s", 1, NULL},
        {"0.5ms", 1, NULL},
        {"0.0000000000000000000000000000000001ms", 1, NULL},
        /* Two ms as a part of an hour, to more digits than any number type has, and just less than
         * it. */
        {"0.000000555555555555555555555555555556h", 2, NULL},
        {"0.000000555555555555555555555555555555h", 1, NULL},
        {"0.99999999999999999999999999999999h", 3599999, NULL},
        {"2147483647ms", 2147483647, NULL},
        {"2147483647.9ms", 2147483647, NULL},
        {"2147483.647s", 2147483647, NULL},
        {"596h", 2145600000, NULL},
        {"596.52323h", 2147483628, NULL},
        {"2147483648ms", 0, "\"2147483648ms\" " TOO_LONG},
        {"2147483.648s", 0, "\"2147483.648s\" " TOO_LONG},
        {"597h", 0, "\"597h\" " TOO_LONG},
        {"9223372036854775807s", 0, "\"9223372036854775807s\" " TOO_LONG},
        {"9223372036854775808ms", 0, "\"9223372036854775808ms\" " TOO_LONG},
        {"18446744073709551617ms", 0, "\"18446744073709551617ms\" " TOO_LONG},
        {"", 0, "\"\" " NO_DURATION},
        {"s", 0, "\"s\" " NO_DURATION},
        {".", 0, "\".\" " NO_DURATION},
        {".5s", 0, "\".5s\" " NO_DURATION},
        {"5.", 0, "\"5.\" " NO_DURATION},
        {"5.s", 0, "\"5.s\" " NO_DURATION},
        {"1.2.3", 0, "\"1.2.3\" " NO_DURATION},
        {"1,5s", 0, "\"1,5s\" " NO_DURATION},
        {"5 s", 0, "\"5 s\" " NO_DURATION},
        {" 5", 0, "\" 5\" " NO_DURATION},
        {"5 ", 0, "\"5 \" " NO_DURATION},
        {"-1", 0, "\"-1\" " NO_DURATION},
        {"+1", 0, "\"+1\" " NO_DURATION},
        {"1e3", 0, "\"1e3\" " NO_DURATION},
        {"0x10", 0, "\"0x10\" " NO_DURATION},
        {"5x", 0, "\"5x\" " NO_DURATION},
        {"5S", 0, "\"5S\" " NO_DURATION},
        {"5sec", 0, "\"5sec\" " NO_DURATION},
        {"1h30m", 0, "\"1h30m\" " NO_DURATION},
        {"inf", 0, "\"inf\" " NO_DURATION},
        {"5\n", 0, "\"5\\x0a\" " NO_DURATION},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error = {"none"};
        int64_t ms = -7;
        print_message("# %s\n", cases[i].text);
        bool taken = args_duration(cases[i].text, &ms, &error);
        assert_string_equal(error.text, cases[i].error ? cases[i].error : "none");
        assert_int_equal(taken, !cases[i].error);
        assert_int_equal(ms, taken ? cases[i].ms : -7);
    }
}

static void test_words(void **state)
{
    static const char *const words[] = {"never", "stopping", "lost"};
    static const struct {
        const char *text;
        int index; /* -1: it is none of them */
    } cases[] = {
        {"never", 0}, {"stopping", 1}, {"lost", 2},   {"", -1},
        {"stop", -1}, {"Lost", -1},    {"lost ", -1},
    };
    (void) state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned index;
        bool taken = args_word(cases[i].text, words, COUNT(words), &index);
        print_message("# %s\n", cases[i].text);
        assert_int_equal(taken ? (int) index : -1, cases[i].index);
    }
}

static void test_sizes(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        size_t min, max;
        size_t bytes;
        const char *range; /* what the error says about the range; NULL: it is taken */
    } cases[] = {
        {"5120", 1, 1 << 20, 5120, NULL},
        {"1", 1, 10, 1, NULL},
        {"10", 1, 10, 10, NULL},
        {"0", 0, 10, 0, NULL},
        {"64k", 1, 1 << 20, 65536, NULL},
        {"64K", 1, 1 << 20, 65536, NULL},
        {"1m", 1, 1 << 20, 1 << 20, NULL},
        {"1M", 1, 1 << 20, 1 << 20, NULL},
        {"1g", 1, SIZE_MAX, 1 << 30, NULL},
        {"3G", 1, SIZE_MAX, (size_t) 3 << 30, NULL},
        {"9223372036854775807", 1, SIZE_MAX, INT64_MAX, NULL},
        {"9223372036854775808", 1, SIZE_MAX, 0, "1 to 18446744073709551615"},
        {"8589934592g", 1, SIZE_MAX, 0, "1 to 18446744073709551615"},
        {"17179869185g", 1, SIZE_MAX, 0, "1 to 18446744073709551615"},
        {"0", 1, 10, 0, "1 to 10"},
        {"11", 1, 10, 0, "1 to 10"},
        {"1k", 1, 1023, 0, "1 to 1023"},
        {"", 0, 10, 0, "0 to 10"},
        {"k", 0, 10, 0, "0 to 10"},
        {"-1", 0, 10, 0, "0 to 10"},
        {"+1", 0, 10, 0, "0 to 10"},
        {" 1", 0, 10, 0, "0 to 10"},
        {"1 ", 0, 10, 0, "0 to 10"},
        {"1 k", 0, 9999, 0, "0 to 9999"},
        {"1kb", 0, 9999, 0, "0 to 9999"},
        {"1kk", 0, SIZE_MAX, 0, "0 to 18446744073709551615"},
        {"1.5k", 0, 9999, 0, "0 to 9999"},
        {"0x10", 0, 9999, 0, "0 to 9999"},
        {"1t", 0, SIZE_MAX, 0, "0 to 18446744073709551615"},
        {"many", 0, 10, 0, "0 to 10"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error = {"none"};
        char expected[256] = "none";
        size_t bytes = 7;
        print_message("# %s\n", cases[i].text);
        bool taken = args_size(cases[i].text, cases[i].min, cases[i].max, &bytes, &error);
        if (cases[i].range) {
            snprintf(expected, sizeof expected,
                     "\"%s\" is not a size from %s bytes, such as 5120, 64k or 1m", cases[i].text,
                     cases[i].range);
        }
        assert_string_equal(error.text, expected);
        assert_int_equal(taken, !cases[i].range);
        assert_int_equal(bytes, taken ? cases[i].bytes : 7);
    }
}

static void test_numbers(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        long min, max;
        long number;
        bool is_taken;
    } cases[] = {
        {"1", 1, 1000000, 1, true},
        {"1000000", 1, 1000000, 1000000, true},
        {"0", 0, 5, 0, true},
        {"010", 0, 50, 10, true},
        {"-5", -5, 5, -5, true},
        {"9223372036854775807", 1, INT64_MAX, INT64_MAX, true},
        {"9223372036854775808", 1, INT64_MAX, 0, false},
        {"-9223372036854775809", INT64_MIN, 0, 0, false},
        {"0", 1, 5, 0, false},
        {"6", 1, 5, 0, false},
        {"-1", 0, 5, 0, false},
        {"-6", -5, 5, 0, false},
        {"", 0, 5, 0, false},
        {"-", -5, 5, 0, false},
        {"--1", -5, 5, 0, false},
        {"+1", 0, 5, 0, false},
        {" 1", 0, 5, 0, false},
        {"1 ", 0, 5, 0, false},
        {"1.0", 0, 5, 0, false},
        {"1e0", 0, 5, 0, false},
        {"0x1", 0, 5, 0, false},
        {"abc", 1, 1000000, 0, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error = {"none"};
        char expected[256] = "none";
        long number = 777;
        print_message("# %s\n", cases[i].text);
        bool taken = args_number(cases[i].text, cases[i].min, cases[i].max, &number, &error);
        if (!cases[i].is_taken) {
            snprintf(expected, sizeof expected, "\"%s\" is not a whole number from %ld to %ld",
                     cases[i].text, cases[i].min, cases[i].max);
        }
        assert_string_equal(error.text, expected);
        assert_int_equal(taken, cases[i].is_taken);
        assert_int_equal(number, taken ? cases[i].number : 777);
    }
}

/* ---- parsing ---- */

struct command_line {
    const char *argv[8]; /* behind the program's name */
    int first;           /* -1: refused, with `expected` as the error */
    bool had_separator;
    const char *expected; /* what was taken */
};

static void check_command_line(const struct args_program *of, const struct command_line *line)
{
    char *argv[10] = {strdup("banterd")};
    int argc = 1;
    for (; line->argv[argc - 1]; argc++)
        argv[argc] = strdup(line->argv[argc - 1]);
    struct args_record record = {0};
    struct error error = {"none"};
    bool had_separator = !line->had_separator;
    print_message("# %s %s\n", argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
    int first = args_parse(of, argc, argv, &record, &had_separator, &error);
    if (line->first < 0) {
        assert_string_equal(error.text, line->expected);
    } else {
        assert_string_equal(error.text, "none");
        assert_string_equal(record.text, line->expected);
        assert_int_equal(had_separator, line->had_separator);
    }
    assert_int_equal(first, line->first);
    assert_int_equal(args_parse(of, argc, argv, &record, NULL, &error), first);
    for (int each = 0; each < argc; each++)
        free(argv[each]);
}

static void test_command_lines(void **state)
{
    (void) state;
    static const struct command_line cases[] = {
        {{NULL}, 1, false, ""},
        {{"operand"}, 1, false, ""},
        {{"--"}, 2, true, ""},
        {{"--", "-q"}, 2, true, ""},
        {{"-"}, 1, false, ""},
        {{"", "-q"}, 1, false, ""},
        {{"-q", "-", "-q"}, 2, false, "quiet;"},
        {{"-q", "operand", "-q", "--"}, 2, false, "quiet;"},
        {{"-q", "operand", "--", "-q"}, 2, false, "quiet;"},
        {{"-q", "--", "operand", "--"}, 3, true, "quiet;"},
        {{"--", "--"}, 2, true, ""},
        {{"--listen=:1", "--listen", ":2"}, 4, false, "listen=:1;listen=:2;"},
        {{"--listen=a=b"}, 2, false, "listen=a=b;"},
        {{"--listen="}, 2, false, "listen=;"},
        {{"--listen", ""}, 3, false, "listen=;"},
        {{"--listen", "--quiet"}, 3, false, "listen=--quiet;"},
        {{"--listen", "--", "-q"}, 4, false, "listen=--;quiet;"},
        {{"-qq"}, 2, false, "quiet;quiet;"},
        {{"-p8000", "-p", "8001", "-p=1"}, 5, false, "port=8000;port=8001;port==1;"},
        {{"-qp8000", "-qp", "1", "x"}, 4, false, "quiet;port=8000;quiet;port=1;"},
        {{"-pq"}, 2, false, "port=q;"},
        {{"-p", "-q"}, 3, false, "port=-q;"},
        {{"--max-m", "1", "--max-clients", "5"}, 5, false, "message=1;clients=5;"},
        {{"--max-c=5", "--li", "x", "--quie"}, 5, false, "clients=5;listen=x;quiet;"},
        {{"--qui", "--quiet"}, 3, false, "twice;quiet;"},
        {{"--wait", "5", "x"}, 2, false, "wait;"},
        {{"--wait=5", "--wait=", "-w", "-w7", "-qw"},
         6,
         false,
         "wait=5;wait=;wait;wait=7;quiet;wait;"},
        {{"--max-clients=abc"},
         -1,
         false,
         "--max-clients: \"abc\" is not a whole number from 1 to 1000000" ARGS_SEE},
        {{"--max-cl", "0"},
         -1,
         false,
         "--max-cl: \"0\" is not a whole number from 1 to 1000000" ARGS_SEE},
        {{"--max-clients="},
         -1,
         false,
         "--max-clients: \"\" is not a whole number from 1 to 1000000" ARGS_SEE},
        {{"--listen=x", "--qui"}, -1, false, "--qui: it can't stand beside --listen" ARGS_SEE},
        {{"--nonsense"}, -1, false, "--nonsense: there is no such option" ARGS_SEE},
        {{"--nonsense=5"}, -1, false, "--nonsense: there is no such option" ARGS_SEE},
        {{"--listening"}, -1, false, "--listening: there is no such option" ARGS_SEE},
        {{"--=5"}, -1, false, "--: there is no such option" ARGS_SEE},
        {{"---"}, -1, false, "---: there is no such option" ARGS_SEE},
        {{"--Quiet"}, -1, false, "--Quiet: there is no such option" ARGS_SEE},
        {{"--a\x1b[1m"}, -1, false, "--a\\x1b[1m: there is no such option" ARGS_SEE},
        {{"-x"}, -1, false, "-x: there is no such option" ARGS_SEE},
        {{"-qx", "-q"}, -1, false, "-x: there is no such option" ARGS_SEE},
        {{"-q-"}, -1, false, "--: there is no such option" ARGS_SEE},
        {{"-\u00e4q"}, -1, false, "-\u00e4: there is no such option" ARGS_SEE},
        {{"--max"}, -1, false, "--max: may be short for --max-message or --max-clients" ARGS_SEE},
        {{"--m=5"}, -1, false, "--m: may be short for --max-message or --max-clients" ARGS_SEE},
        {{"--qu"}, -1, false, "--qu: may be short for --quiet or --qui" ARGS_SEE},
        {{"-q", "--listen"}, -1, false, "--listen: its argument ADDRESS is missing" ARGS_SEE},
        {{"--li"}, -1, false, "--li: its argument ADDRESS is missing" ARGS_SEE},
        {{"-qm"}, -1, false, "-m: its argument BYTES is missing" ARGS_SEE},
        {{"-qQ"}, -1, false, "-Q: quiet enough" ARGS_SEE},
        {{"-Qq"}, -1, false, "-Q: quiet enough" ARGS_SEE},
        {{"--quiet=1"}, -1, false, "--quiet: it takes no argument" ARGS_SEE},
        {{"--quiet="}, -1, false, "--quiet: it takes no argument" ARGS_SEE},
        {{"-5"}, -1, false, "-5: there is no such option" ARGS_SEE},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_command_line(&args_sample, &cases[i]);
}

/* Of a program whose operands can't look like options. */
static void test_operands(void **state)
{
    (void) state;
#define MISPLACED                                                                                  \
    ": options stand in front of the messages; if it is one of them, put -- in front of the "      \
    "first" ARGS_SEE
    static const struct command_line cases[] = {
        {{"hello", "world"}, 1, false, ""},
        {{"-q", "hello", "-", "", "a-q"}, 2, false, "quiet;"},
        {{"hello", "-5", "-.5", "-\u00e4", "- q", "-\n"}, 1, false, ""},
        {{"-5", "3"}, 1, false, ""},
        {{"-q", "-5"}, 2, false, "quiet;"},
        {{"-q", "--", "hello", "-q", "--", "--nonsense"}, 3, true, "quiet;"},
        {{"--", "-q"}, 2, true, ""},
        {{"hello", "-p", "8000"}, -1, false, "-p" MISPLACED},
        {{"hello", "-x"}, -1, false, "-x" MISPLACED},
        {{"-q", "hello", "world", "--port=8000"}, -1, false, "--port=8000" MISPLACED},
        {{"hello", "--nonsense"}, -1, false, "--nonsense" MISPLACED},
        {{"hello", "--", "-q"}, -1, false, "--" MISPLACED},
        {{"-5", "-q"}, -1, false, "-q" MISPLACED},
        {{"", "---"}, -1, false, "---" MISPLACED},
        {{"hello", "-a\x1b"}, -1, false, "-a\\x1b" MISPLACED},
        {{"-x", "hello", "-q"}, -1, false, "-x: there is no such option" ARGS_SEE},
    };
    struct args_program strict = args_sample;
    strict.operands = "messages";
    for (size_t i = 0; i < COUNT(cases); i++)
        check_command_line(&strict, &cases[i]);
}

/* However long what was typed or what is said about it, the option stands in front and the hint at
 * the end. */
static void test_long_texts_keep_both_ends(void **state)
{
    (void) state;
    char name[] = "banterd";
    char story[] = "-Sx";
    char *argv[] = {name, story, NULL};
    struct args_record record = {0};
    struct error error;
    assert_int_equal(args_parse(&args_sample, 2, argv, &record, NULL, &error), -1);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_memory_equal(error.text, "-S: 000", 7);
    assert_string_equal(error.text + strlen(error.text) - strlen(ARGS_SEE), ARGS_SEE);

    char unknown[3000] = "--";
    memset(unknown + 2, 'x', sizeof unknown - 3);
    unknown[sizeof unknown - 1] = '\0';
    argv[1] = unknown;
    assert_int_equal(args_parse(&args_sample, 2, argv, &record, NULL, &error), -1);
    assert_memory_equal(error.text, "--xxxx", 6);
    assert_non_null(strstr(error.text, "x...: there is no such option" ARGS_SEE));
}

/* ---- help ---- */

static void test_help(void **state)
{
    (void) state;
    static const struct args_option table[] = {
        {'l', "listen", "ADDRESS",
         "HOST:PORT, :PORT, PORT, [V6]:PORT or unix:PATH; may be given more than once; port 0 is "
         "any "
         "free one",
         "127.0.0.1:8000", NULL},
        {'H', "handler", "NAME",
         "what makes the replies:\nhello   greets\necho    gives the request "
         "back, whatever there is in it, byte by byte",
         "hello", NULL},
        {0, "threads", "N", "loops, each of which has a thread of its own", "one for each core",
         NULL},
        {0, "a-name-that-is-too-long-for-the-column", "T", "a line of its own", "30s", NULL},
        {0, "wait", "[T]", "keep trying", NULL, NULL},
        {'q', "quiet", NULL, "log less", NULL, NULL},
        /* Just as wide as the page. */
        {'x', "exact", NULL, "0123456789 0123456789 0123456789 0123456789 0123456789 0", NULL,
         NULL},
        {'y', "exact-y", NULL, "0123456789 0123456789 0123456789 0123456789 0123456789 01", NULL,
         NULL},
        {'z', "exact-z", NULL, "0123456789 0123456789 0123456789 0123456789", "x", NULL},
        {'Z', "exact-Z", NULL, "0123456789 0123456789 0123456789 0123456789", "xy", NULL},
    };
    static const struct args_program with_all = {
        .name = "banterd",
        .synopsis = "[OPTION]... [-- PROGRAM [ARGUMENT]...]",
        .about =
            "Answers each line that a client sends with a line of its own, for very many clients "
            "at once.",
        .trailer =
            "Exit status:\n   0  stopped\n   2  stopped with handlers left behind, since the "
            "drain time-out ended before they did\n\n  64  usage",
        .options = table,
        .option_count = COUNT(table),
    };
    static const char expected[] =
        "Usage: banterd [OPTION]... [-- PROGRAM [ARGUMENT]...]\n"
        "Answers each line that a client sends with a line of its own, for very many\n"
        "clients at once.\n"
        "\n"
        "Options:\n"
        "  -l, --listen ADDRESS  HOST:PORT, :PORT, PORT, [V6]:PORT or unix:PATH; may be\n"
        "                        given more than once; port 0 is any free one\n"
        "                        (default: 127.0.0.1:8000)\n"
        "  -H, --handler NAME    what makes the replies:\n"
        "                        hello   greets\n"
        "                        echo    gives the request back, whatever there is in it,\n"
        "                                byte by byte (default: hello)\n"
        "      --threads N       loops, each of which has a thread of its own\n"
        "                        (default: one for each core)\n"
        "      --a-name-that-is-too-long-for-the-column T\n"
        "                        a line of its own (default: 30s)\n"
        "      --wait[=T]        keep trying\n"
        "  -q, --quiet           log less\n"
        "  -x, --exact           0123456789 0123456789 0123456789 0123456789 0123456789 0\n"
        "  -y, --exact-y         0123456789 0123456789 0123456789 0123456789 0123456789\n"
        "                        01\n"
        "  -z, --exact-z         0123456789 0123456789 0123456789 0123456789 (default: x)\n"
        "  -Z, --exact-Z         0123456789 0123456789 0123456789 0123456789\n"
        "                        (default: xy)\n"
        "\n"
        "Exit status:\n"
        "   0  stopped\n"
        "   2  stopped with handlers left behind, since the drain time-out ended before\n"
        "      they did\n"
        "\n"
        "  64  usage\n";
    char *help = args_help(&with_all);
    assert_non_null(help);
    assert_string_equal(help, expected);
    free(help);
}

static void test_help_of_a_bare_program(void **state)
{
    (void) state;
    struct args_program bare = {.name = "x",
                                .synopsis = "FILE",
                                .about = "Does it.",
                                .options = args_sample.options,
                                .option_count = 1};
    char *help = args_help(&bare);
    assert_non_null(help);
    assert_string_equal(help,
                        "Usage: x FILE\nDoes it.\n\nOptions:\n"
                        "  -l, --listen ADDRESS  where it listens (default: 127.0.0.1:8000)\n");
    free(help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_command_lines),
        cmocka_unit_test(test_operands),
        cmocka_unit_test(test_long_texts_keep_both_ends),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_help_of_a_bare_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
