/*
 * fuzz_args: numbers, sizes and durations against their notation, spelled out; command lines
 * against getopt_long().
 *
 * Input: what it is, the text; a command line's words are the text's lines.
 */
#include <getopt.h>
#include <string.h>

#include "common/args.h"
#include "common/escape.h"
#include "tests/fuzz/fuzz.h"

#define DIGITS "0123456789"
#define LARGE ((__int128) 1 << 90) /* larger than what any of them takes */

static void check_sentence(const char *text)
{
    size_t size = strlen(text);
    FUZZ_REQUIRE(size > 0);
    FUZZ_REQUIRE(escape_shown(text, size, escape_utf8, "") == size);
}

/* ---- notations ---- */

/* What the digits mean, or LARGE. */
static __int128 value_of(const char *digits, size_t count)
{
    __int128 value = 0;
    for (size_t i = 0; i < count && value < LARGE; i++)
        value = value * 10 + (digits[i] - '0');
    return value < LARGE ? value : LARGE;
}

static void check_number(const char *text)
{
    enum { MIN = -5, MAX = 70000 };
    long number = -99;
    struct error error;
    bool is_negative = *text == '-';
    const char *digits = text + is_negative;
    size_t count = strspn(digits, DIGITS);
    __int128 value = value_of(digits, count) * (is_negative ? -1 : 1);
    bool is_right = count > 0 && digits[count] == '\0' && value >= MIN && value <= MAX;
    FUZZ_REQUIRE(args_number(text, MIN, MAX, &number, &error) == is_right);
    if (is_right)
        FUZZ_REQUIRE(number == value);
    else
        check_sentence(error.text);
}

static void check_size(const char *text)
{
    static const char units[] = "kKmMgG";
    size_t min = 2;
    size_t max = (size_t) 1 << 40;
    size_t bytes = 77;
    struct error error;
    size_t count = strspn(text, DIGITS);
    const char *unit = text + count;
    const char *known = *unit ? strchr(units, *unit) : NULL;
    __int128 value = value_of(text, count) << (known ? 10 * ((known - units) / 2 + 1) : 0);
    bool is_right =
        count > 0 && (*unit == '\0' || (known && unit[1] == '\0')) && value >= min && value <= max;
    FUZZ_REQUIRE(args_size(text, min, max, &bytes, &error) == is_right);
    if (is_right)
        FUZZ_REQUIRE(bytes == value);
    else
        check_sentence(error.text);
}

/* 0.DECIMALS times `factor`, rounded down; of 26 decimals at most. */
static int64_t decimals_of(const char *decimals, size_t count, int64_t factor)
{
    __int128 one = 1;
    for (size_t i = 0; i < count; i++)
        one *= 10;
    return (int64_t) (value_of(decimals, count) * factor / one);
}

static int64_t factor_of(const char *unit)
{
    return strcmp(unit, "ms") == 0                           ? 1
           : strcmp(unit, "s") == 0 || strcmp(unit, "") == 0 ? 1000
           : strcmp(unit, "m") == 0                          ? 60 * 1000
           : strcmp(unit, "h") == 0                          ? 60 * 60 * 1000
                                                             : 0;
}

static void check_duration(const char *text)
{
    int64_t ms = -3;
    struct error error;
    size_t whole = strspn(text, DIGITS);
    const char *decimals = text[whole] == '.' ? text + whole + 1 : "";
    size_t count = strspn(decimals, DIGITS);
    const char *unit = text[whole] == '.' ? decimals + count : text + whole;
    int64_t factor = factor_of(unit);
    if (count > 26)
        return;
    bool is_right = whole > 0 && factor > 0 && (text[whole] != '.' || count > 0);
    __int128 value = value_of(text, whole) * factor + decimals_of(decimals, count, factor);
    is_right &= value <= INT32_MAX;
    if (is_right && value == 0 && strcspn(text, "123456789") < strlen(text))
        value = 1;
    FUZZ_REQUIRE(args_duration(text, &ms, &error) == is_right);
    if (is_right)
        FUZZ_REQUIRE(ms == value);
    else
        check_sentence(error.text);
}

/* ---- command lines ---- */

enum { MAX_WORDS = 12, LONGEST_TEXT = 200 };

/* What came of a command line: the options, and what stands behind each. */
struct taken {
    int option[LONGEST_TEXT];
    const char *value[LONGEST_TEXT];
    unsigned count;
};

static bool take(struct taken *taken, int option, const char *value)
{
    FUZZ_REQUIRE(taken->count < LONGEST_TEXT);
    taken->option[taken->count] = option;
    taken->value[taken->count++] = value;
    return true;
}

#define TAKE(number)                                                                               \
    static bool take_##number(const char *value, void *context, struct error *error)               \
    {                                                                                              \
        (void) error;                                                                              \
        return take(context, number, value);                                                       \
    }
TAKE(1)
TAKE(2)
TAKE(3)
TAKE(4)
TAKE(5)

static const struct args_option options[] = {
    {'a', "all", NULL, "takes nothing", NULL, take_1},
    {'b', "ball", "TEXT", "takes something", NULL, take_2},
    {'c', "call", "[TEXT]", "takes something or nothing", NULL, take_3},
    {0, "all-of-it", NULL, "has no letter", NULL, take_4},
    {0, "be", "TEXT", "is short for another one", NULL, take_5},
};
static const struct option same_options[] = {
    {"all", no_argument, NULL, 1},        {"ball", required_argument, NULL, 2},
    {"call", optional_argument, NULL, 3}, {"all-of-it", no_argument, NULL, 4},
    {"be", required_argument, NULL, 5},   {0},
};
static const struct args_program program = {
    .name = "fuzz", .synopsis = "", .about = "", .options = options, .option_count = 5};

/* The index of the first operand, or -1. */
static int ask_getopt(int argc, char **argv, struct taken *taken)
{
    optind = 0;
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, "+ab:c::", same_options, NULL)) >= 0) {
        if (option == '?')
            return -1;
        take(taken, option >= 'a' ? option - 'a' + 1 : option, optarg);
    }
    return optind;
}

static void check_words(int argc, char **argv)
{
    static const char hint[] = "; see fuzz --help";
    struct taken taken = {.count = 0}, expected = {.count = 0};
    struct error error = {""};
    bool had_separator;
    int first = ask_getopt(argc, argv, &expected);
    FUZZ_REQUIRE(args_parse(&program, argc, argv, &taken, &had_separator, &error) == first);
    FUZZ_REQUIRE(taken.count == expected.count);
    for (unsigned i = 0; i < taken.count; i++)
        FUZZ_REQUIRE(taken.option[i] == expected.option[i] && taken.value[i] == expected.value[i]);
    if (first < 0) {
        size_t size = strlen(error.text);
        check_sentence(error.text);
        FUZZ_REQUIRE(size > strlen(hint));
        FUZZ_REQUIRE(strcmp(error.text + size - strlen(hint), hint) == 0);
    } else if (had_separator) {
        FUZZ_REQUIRE(strcmp(argv[first - 1], "--") == 0);
    }
}

static void check_command_line(char *text)
{
    static char name[] = "fuzz";
    char *argv[MAX_WORDS + 2] = {name};
    int argc = 1;
    char *word;
    while (argc <= MAX_WORDS && (word = strsep(&text, "\n")))
        argv[argc++] = word;
    check_words(argc, argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned kind = fuzz_below(&input, 4);
    if (input.left >= LONGEST_TEXT)
        return -1;
    char *text = strndup((const char *) input.at, input.left);
    FUZZ_REQUIRE(text);
    if (kind == 0)
        check_number(text);
    else if (kind == 1)
        check_size(text);
    else if (kind == 2)
        check_duration(text);
    else
        check_command_line(text);
    free(text);
    return 0;
}
