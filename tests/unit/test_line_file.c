/*
 * Files of lines: which lines are given, with which numbers, and which files are refused; and files
 * of options on a command line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/args.h"
#include "common/line_file.h"
#include "tests/unit/args_sample.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the folder of a test ---- */

static char folder[] = "/tmp/line-file-XXXXXX";
static char path[sizeof folder + sizeof "/file"];

static int make_folder(void **state)
{
    (void) state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void) state;
    unlink(path);
    return rmdir(folder);
}

static void write_file(const char *text, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* ---- lines ---- */

static void append(char *all, size_t size, unsigned line, const char *text)
{
    size_t used = strlen(all);
    snprintf(all + used, size - used, "%u[%s]", line, text);
}

static void test_lines(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        const char *lines; /* each with its number */
    } cases[] = {
        {"", ""},
        {"\n\n", ""},
        {" \t \n#\n  # a\r\n#b", ""},
        {"a", "1[a]"},
        {"a\n", "1[a]"},
        {"a\nb", "1[a]2[b]"},
        {"a\r\nb\r\n", "1[a]2[b]"},
        {"\n#x\n a b \t\n\r\nc#d", "3[a b]5[c#d]"},
        {"a\rb\r\r\n", "1[a\rb]"},
        {"\xff\n--\n#", "1[\xff]2[--]"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char all[256] = "";
        struct error error = {"none"};
        write_file(cases[i].text, strlen(cases[i].text));
        struct line_file *file = line_file_open(path, 100, &error);
        assert_string_equal(error.text, "none");
        assert_non_null(file);
        assert_int_equal(file->line, 0);
        for (const char *line; (line = line_file_next(file));)
            append(all, sizeof all, file->line, line);
        assert_string_equal(all, cases[i].lines);
        assert_null(line_file_next(file));
        line_file_close(file);
    }
}

static void test_rest(void **state)
{
    (void) state;
    static const struct {
        const char *text; /* behind the first line */
        const char *words[6];
    } cases[] = {
        {"", {NULL}},
        {"\n", {"", NULL}},
        {"a", {"a", NULL}},
        {"a\n", {"a", NULL}},
        {"a\n\n", {"a", "", NULL}},
        {" a \t\n# b\r\n\r\n--\nc\r", {" a \t", "# b", "", "--", "c", NULL}},
        {"a\rb\r\r\n", {"a\rb\r", NULL}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[64];
        struct error error = {"none"};
        snprintf(text, sizeof text, "--\n%s", cases[i].text);
        write_file(text, strlen(text));
        struct line_file *file = line_file_open(path, 100, &error);
        assert_non_null(file);
        assert_string_equal(line_file_next(file), "--");
        char **words = line_file_rest(file);
        assert_non_null(words);
        assert_ptr_equal(words, file->rest);
        size_t word = 0;
        for (; cases[i].words[word]; word++)
            assert_string_equal(words[word], cases[i].words[word]);
        assert_null(words[word]);
        assert_null(line_file_next(file));
        line_file_close(file);
    }
}

/* ---- what is refused ---- */

static void check_refused(const char *of, const char *why)
{
    struct error error = {"none"};
    assert_null(line_file_open(of, 10, &error));
    assert_string_equal(error.text, why);
}

static void test_refused(void **state)
{
    (void) state;
    static const char too_large[] = "it has more than the 10 bytes that are read";
    unlink(path);
    check_refused(path, "unable to read it: No such file or directory");
    check_refused(folder, "it is a directory, not a file");
    check_refused("/dev/zero", "it is not a regular file");
    write_file("0123456789", 10);
    struct error error;
    struct line_file *file = line_file_open(path, 10, &error);
    assert_non_null(file);
    assert_string_equal(line_file_next(file), "0123456789");
    line_file_close(file);
    write_file("0123456789\n", 11);
    check_refused(path, too_large);
    write_file("", 0);
    assert_int_equal(truncate(path, (off_t) 1 << 40), 0);
    check_refused(path, too_large);
    write_file("\0", 1);
    check_refused(path, "line 1: it has a NUL byte, so this is no text");
    write_file("a\n\nb\0c\n", 7);
    check_refused(path, "line 3: it has a NUL byte, so this is no text");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    check_refused(path, "it is not a regular file");
    unlink(path);
    line_file_close(NULL);
}

/* ---- options ---- */

/* Of a command line "-q @FILE -p1 operand". */
static void test_options(void **state)
{
    (void) state;
#define WRITE "its argument is attached or in the next line: write "
#define NO_OPTION                                                                                  \
    "an option begins with a dash, and the line behind it is its argument only if it takes "       \
    "one" ARGS_SEE
    static const struct {
        const char *text;
        const char *expected; /* what was taken; or the error, behind the file's name */
        bool is_refused;
        const char *rest; /* the first word of it, or NULL */
    } cases[] = {
        {"", "quiet;port=1;", false, NULL},
        {"--listen\n80", "quiet;listen=80;port=1;", false, NULL},
        {"--listen\n# not this\n\n   80  \r\n", "quiet;listen=80;port=1;", false, NULL},
        {"--listen=a b\n-la b", "quiet;listen=a b;listen=a b;port=1;", false, NULL},
        {"--li=80\n-q\n-qq", "quiet;listen=80;quiet;quiet;quiet;port=1;", false, NULL},
        {"-l\n--\n-l\n@y\n--listen\n-q", "quiet;listen=--;listen=@y;listen=-q;port=1;", false,
         NULL},
        {"--wait\n-w5\n--wait=5", "quiet;wait;wait=5;wait=5;port=1;", false, NULL},
        {"--listen=#1\n", "quiet;listen=#1;port=1;", false, NULL},
        {"-q\n -- \n -q", "quiet;quiet;port=1;", false, " -q"},
        {"--listen 80", "line 1: --listen: " WRITE "--listen=80, or two lines" ARGS_SEE, true,
         NULL},
        {"\n--li\t 80", "line 2: --li: " WRITE "--li=80, or two lines" ARGS_SEE, true, NULL},
        {"-l 80", "line 1: -l: " WRITE "-l80, or two lines" ARGS_SEE, true, NULL},
        {"-ql a b", "line 1: -l: " WRITE "-la b, or two lines" ARGS_SEE, true, NULL},
        {"--wait 5", "line 1: --wait: its argument is attached: write --wait=5" ARGS_SEE, true,
         NULL},
        {"-w 5", "line 1: -w: its argument is attached: write -w5" ARGS_SEE, true, NULL},
        {"-q --listen",
         "line 1: -q: it takes no argument, and nothing else can be in its line" ARGS_SEE, true,
         NULL},
        {"--quiet # yes",
         "line 1: --quiet: it takes no argument, and nothing else can be in its line" ARGS_SEE,
         true, NULL},
        {"#\n\n--nope 5", "line 3: --nope: there is no such option" ARGS_SEE, true, NULL},
        {"--listen\n\n\n", "line 1: --listen: its argument ADDRESS is missing" ARGS_SEE, true,
         NULL},
        {"--max-clients\n\n7a",
         "line 3: --max-clients: \"7a\" is not a whole number from 1 to 1000000" ARGS_SEE, true,
         NULL},
        {"@y", "line 1: @y: a file of options can't name another one" ARGS_SEE, true, NULL},
        {"-q\n80", "line 2: 80: " NO_OPTION, true, NULL},
        {"-", "line 1: -: " NO_OPTION, true, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char word[sizeof path + 1];
        char name[] = "x", q[] = "-q", p[] = "-p1", operand[] = "operand";
        char *argv[] = {name, q, word, p, operand, NULL};
        struct args_record record = {0};
        struct error error = {"none"};
        print_message("# %s\n", cases[i].text);
        write_file(cases[i].text, strlen(cases[i].text));
        snprintf(word, sizeof word, "@%s", path);
        int first = args_parse(&args_sample, 5, argv, &record, NULL, &error);
        assert_int_equal(first, cases[i].is_refused ? -1 : 4);
        if (cases[i].is_refused) {
            char expected[512];
            snprintf(expected, sizeof expected, "%s: %s", path, cases[i].expected);
            assert_string_equal(error.text, expected);
        } else {
            assert_string_equal(record.text, cases[i].expected);
            assert_int_equal(record.file->rest != NULL, cases[i].rest != NULL);
            if (cases[i].rest)
                assert_string_equal(record.file->rest[0], cases[i].rest);
        }
        line_file_close(record.file);
    }
}

/* What is no file of options, and the word of a program that has none. */
static void test_words_that_name_no_file(void **state)
{
    (void) state;
    struct args_program without = args_sample;
    without.take_file = NULL;
    char name[] = "x", none[] = "@", missing[] = "@/nowhere/y", value[] = "-l";
    struct args_record record = {0};
    struct error error = {"none"};
    assert_int_equal(
        args_parse(&args_sample, 2, (char *[]){name, none, NULL}, &record, NULL, &error), -1);
    assert_string_equal(error.text, "@: the name of a file is missing" ARGS_SEE);
    assert_int_equal(
        args_parse(&args_sample, 2, (char *[]){name, missing, NULL}, &record, NULL, &error), -1);
    assert_string_equal(error.text,
                        "/nowhere/y: unable to read it: No such file or directory" ARGS_SEE);
    assert_int_equal(
        args_parse(&without, 2, (char *[]){name, missing, NULL}, &record, NULL, &error), 1);
    assert_int_equal(
        args_parse(&args_sample, 3, (char *[]){name, value, missing, NULL}, &record, NULL, &error),
        3);
    assert_string_equal(record.text, "listen=@/nowhere/y;");
    assert_null(record.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_words_that_name_no_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
