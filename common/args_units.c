/*
 * args_units: the notations that options share: words, numbers, sizes and durations. All in
 * integers: no rounding surprises, and no locale that wants a comma.
 */
#include "common/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/escape.h"

#define DIGITS "0123456789"
#define DURATION_MAX_MS INT32_MAX /* the longest time-out that poll(2) takes */

static bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

/* Reads digits up to the first other byte. False if there is none, or if the number is larger than
 * INT64_MAX. */
static bool read_digits(const char **text, int64_t *number)
{
    if (!is_digit(**text))
        return false;
    *number = 0;
    for (; is_digit(**text); (*text)++)
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, **text - '0', number))
            return false;
    return true;
}

bool args_number(const char *text, long min, long max, long *number, struct error *error)
{
    char *end = NULL;
    errno = 0;
    /* strtol() alone would also take white space and '+' in front. */
    bool begins_well = is_digit(text[text[0] == '-']);
    long value = begins_well ? strtol(text, &end, 10) : 0;
    if (!begins_well || *end != '\0' || errno != 0 || value < min || value > max) {
        char shown[ESCAPE_SIZE];
        return error_set(error, "\"%s\" is not a whole number from %ld to %ld",
                         escape_text(text, strlen(text), shown), min, max);
    }
    *number = value;
    return true;
}

bool args_count(const char *text, long max, unsigned *count, struct error *error)
{
    long number = 0; /* gcc can't see that it is set */
    if (!args_number(text, 1, max, &number, error))
        return false;
    *count = (unsigned) number;
    return true;
}

/* The factor of a size's unit; 0 if it is not a unit. */
static int64_t size_factor(const char *unit)
{
    static const struct {
        char unit[2];
        int64_t factor;
    } factors[] = {{"", 1},        {"k", 1 << 10}, {"K", 1 << 10}, {"m", 1 << 20},
                   {"M", 1 << 20}, {"g", 1 << 30}, {"G", 1 << 30}};
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++)
        if (strcmp(unit, factors[i].unit) == 0)
            return factors[i].factor;
    return 0;
}

bool args_size(const char *text, size_t min, size_t max, size_t *bytes, struct error *error)
{
    const char *rest = text;
    int64_t number;
    int64_t value;
    if (read_digits(&rest, &number)) {
        int64_t factor = size_factor(rest);
        if (factor > 0 && !__builtin_mul_overflow(number, factor, &value) &&
            (uint64_t) value >= min && (uint64_t) value <= max) {
            *bytes = (size_t) value;
            return true;
        }
    }
    char shown[ESCAPE_SIZE];
    return error_set(error, "\"%s\" is not a size from %zu to %zu bytes, such as 5120, 64k or 1m",
                     escape_text(text, strlen(text), shown), min, max);
}

/* A duration's unit in milliseconds; 0 if it is not a unit. */
static int64_t duration_factor(const char *unit)
{
    static const struct {
        char unit[3];
        int64_t ms;
    } factors[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}, {"h", 3600000}};
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++)
        if (strcmp(unit, factors[i].unit) == 0)
            return factors[i].ms;
    return 0;
}

/* The fraction of `factor` that the decimals give, rounded down. Exact for any number of digits: it
 * is computed from the last to the first, and rounding down at each step rounds down the whole. */
static int64_t fraction_of(int64_t factor, const char *digits, size_t count)
{
    int64_t value = 0;
    for (size_t i = count; i > 0; i--)
        value = (value + (digits[i - 1] - '0') * factor) / 10;
    return value;
}

bool args_duration(const char *text, int64_t *ms, struct error *error)
{
    char shown[ESCAPE_SIZE];
    escape_text(text, strlen(text), shown);
    size_t whole_size = strspn(text, DIGITS);
    bool has_point = text[whole_size] == '.';
    const char *decimals = text + whole_size + has_point;
    size_t decimals_size = has_point ? strspn(decimals, DIGITS) : 0;
    const char *unit = decimals + decimals_size;
    int64_t factor = duration_factor(unit);
    if (whole_size == 0 || (has_point && decimals_size == 0) || factor == 0)
        return error_set(error, "\"%s\" is not a duration, such as 90, 0.5s, 500ms, 2m or 1h",
                         shown);
    const char *rest = text;
    int64_t value;
    if (!read_digits(&rest, &value) || __builtin_mul_overflow(value, factor, &value) ||
        value > DURATION_MAX_MS - fraction_of(factor, decimals, decimals_size))
        return error_set(error, "\"%s\" is more than the longest duration, 596h", shown);
    value += fraction_of(factor, decimals, decimals_size);
    bool is_zero = text + strspn(text, "0.") >= unit;
    *ms = value == 0 && !is_zero ? 1 : value;
    return true;
}

bool args_word(const char *text, const char *const *words, size_t count, unsigned *index)
{
    for (*index = 0; *index < count; ++*index)
        if (strcmp(text, words[*index]) == 0)
            return true;
    return false;
}
