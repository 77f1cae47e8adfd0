/*
 * args: command lines. Parsing, --help and the error texts come from one table of options, so that
 * they can't differ. The notations of durations, sizes and numbers are here too.
 */
#ifndef BANTER_COMMON_ARGS_H
#define BANTER_COMMON_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/line_file.h"

/* Those with an `error` return false, with it set to a text that says what would be right. */

/* A duration: "90", "90s", "0.5s", "500ms", "2m", "1h". Without a unit it is in seconds; 0 is
 * "never". `*ms` is from 0 to 2^31-1; a duration of less than 1 ms, but not 0, becomes 1 ms. */
bool args_duration(const char *text, int64_t *ms, struct error *error);

/* A size from `min` to `max` bytes: "5120", "64k", "1m", "1g" (powers of 1024, either case). */
bool args_size(const char *text, size_t min, size_t max, size_t *bytes, struct error *error);

/* One of `count` words, of which `*index` becomes the number, from 0. False if it is none of them:
 * the caller's error says what it can be. */
bool args_word(const char *text, const char *const *words, size_t count, unsigned *index);

/* A whole number from `min` to `max`, in decimal. */
bool args_number(const char *text, long min, long max, long *number, struct error *error);

/* How many of something: a whole number from 1 to `max`, which is at most UINT_MAX. */
bool args_count(const char *text, long max, unsigned *count, struct error *error);

struct args_option {
    int letter;       /* 0: no short form */
    const char *name; /* the long form, without the dashes */
    /* The name of its argument in --help, such as "ADDRESS"; NULL: it takes none. In brackets,
     * "[T]": the argument is optional and is given as --name=T or, after a letter, as -wT. */
    const char *argument;
    /* What it does, without its default: lines separated by '\n'. Long lines are broken; after two
     * or more spaces they continue under the word that follows the spaces. */
    const char *help;
    const char *fallback; /* the default in --help; NULL: none is shown */
    /* Takes the option; `value` is NULL if no argument was given, `context` is args_parse()'s. For
     * a bad value returns false, with `error` set; the option's name is put in front of it. */
    bool (*take)(const char *value, void *context, struct error *error);
};

struct args_program {
    const char *name;     /* "banterd" */
    const char *synopsis; /* after the name: "[OPTION]... [-- PROGRAM [ARGUMENT]...]" */
    const char *about;    /* a sentence or two for --help */
    const char *trailer;  /* the end of --help, such as the exit statuses, or NULL */
    const struct args_option *options;
    size_t option_count;
    /* The name of the operands, such as "messages", if none of them may look like an option unless
     * "--" stands in front of the first: then no misplaced option passes for an operand, and a dash
     * without a letter, as in -5, begins one. NULL: they may be anything, such as a command. */
    const char *operands;
    /* Takes a file of options, which was given as @FILE and is open, but not parsed yet: its owner
     * closes it when the values and the operands that come from it are not used any more. NULL:
     * there are no such files, and "@FILE" is an operand. */
    void (*take_file)(struct line_file *file, void *context);
};

/* Takes options from the left up to the first operand, or up to "--", after which nothing is an
 * option. In the place of an option "@FILE" stands for the options in that file: each line is an
 * option, with its value attached if it has one, or the value of the one before. A line "--" ends
 * them, and makes the lines behind it the file's `rest`: operands, beside those in argv. Long names
 * may be shortened as long as they are unambiguous. Returns the index in argv of the first operand
 * (argc if there is none), or -1 with `error` set: it names the option, and the file and line if it
 * is in one, and ends in "see NAME --help". `*had_separator` (may be NULL) becomes whether "--" was
 * there. */
int args_parse(const struct args_program *program, int argc, char **argv, void *context,
               bool *had_separator, struct error *error);

/* The text of --help, at most 80 columns wide. The caller frees it. NULL when memory is out. */
char *args_help(const struct args_program *program);

#endif
