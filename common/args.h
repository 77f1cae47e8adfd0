/*
 * args: command lines. One table an option, from which parsing, --help and the error texts come, so
 * that they can't differ; and the notations for durations and sizes that the options use.
 */
#ifndef BANTER_COMMON_ARGS_H
#define BANTER_COMMON_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* A duration: "90", "90s", "0.5s", "500ms", "2m", "1h"; no unit is seconds; 0 is "never". In
 * milliseconds, from 0 to 2^31-1; more than 0 but less than 1 ms is 1 ms. On failure `error` says
 * what would be right. */
bool args_duration(const char *text, int64_t *ms, struct error *error);

/* A size: "5120", "64k", "1m", "1g" (powers of 1024, either case), from `min` to `max`. */
bool args_size(const char *text, size_t min, size_t max, size_t *bytes, struct error *error);

/* A whole number in decimal, from `min` to `max`. */
bool args_number(const char *text, long min, long max, long *number, struct error *error);

struct args_option {
    int letter;       /* 0: there is no short form */
    const char *name; /* the long form, without the dashes */
    /* Its argument's name in --help, such as "ADDRESS"; NULL: the option takes none. In brackets,
     * "[T]": the argument is optional and is given as --name=T (or, behind a letter, as -wT). */
    const char *argument;
    /* What it does, in one line or several separated by '\n', without its default. Lines are broken
     * where needed; after two or more spaces they go on under the word behind the spaces. */
    const char *help;
    const char *fallback; /* the default, as --help shows it; NULL: none is shown */
    /* Takes the option: `value` is NULL where no argument was given. `context` is args_parse()'s.
     * False, with `error` set (without the option's name, which is put in front), for a value that
     * is no good. */
    bool (*take)(const char *value, void *context, struct error *error);
};

struct args_program {
    const char *name; /* "banterd" */
    const char
        *synopsis;       /* what stands behind the name: "[OPTION]... [-- PROGRAM [ARGUMENT]...]" */
    const char *about;   /* a sentence or two for --help */
    const char *trailer; /* what --help ends with, such as the exit statuses, or NULL */
    const struct args_option *options;
    size_t option_count;
};

/* Takes options from the left up to the first operand or "--" (what comes behind it is never an
 * option). Long names may be cut as long as they are unambiguous. Returns the index in argv of the
 * first operand (argc where there is none), or -1 with `error` set, the option named in it and "see
 * NAME --help" at its end. `*had_separator` (may be NULL): whether the operands stood behind "--".
 * */
int args_parse(const struct args_program *program, int argc, char **argv, void *context,
               bool *had_separator, struct error *error);

/* Writes what --help prints, at most 80 columns wide. The caller frees it. NULL when memory is out.
 * */
char *args_help(const struct args_program *program);

#endif
