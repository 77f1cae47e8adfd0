/*
 * args: parses a command line by a program's table of options. The rest of args.h is in args_help.c
 * (the text of --help) and args_units.c (numbers, sizes, durations).
 *
 * getopt_long() would not do: its state is global, and it does not distinguish an unknown option
 * from an ambiguous one.
 */
#include "common/args.h"

#include <stdio.h>
#include <string.h>

#include "common/escape.h"

/* A call of args_parse(). */
struct parse {
    const struct args_program *program;
    int argc;
    char **argv;
    int next; /* index of the next argument */
    void *context;
    struct error *error;
};

/* Reports what is wrong with an option, which is shown as it was typed, such as "--max-cl" or "-m".
 * If the text would be too long the reason is cut, not the hint at its end. */
static bool refuse(const struct parse *parse, const char *typed, const char *why)
{
    struct error hint;
    error_set(&hint, "; see %s --help", parse->program->name);
    char shown[ESCAPE_SIZE];
    escape_text(typed, strlen(typed), shown);
    size_t around = strlen(shown) + strlen(": ") + strlen(hint.text);
    size_t room = sizeof hint.text - 1 > around ? sizeof hint.text - 1 - around : 0;
    return error_set(parse->error, "%s: %.*s%s", shown, (int) room, why, hint.text);
}

static bool is_optional(const struct args_option *option)
{
    return option->argument && option->argument[0] == '[';
}

static bool take(const struct parse *parse, const struct args_option *option, const char *typed,
                 const char *value)
{
    struct error why;
    return option->take(value, parse->context, &why) || refuse(parse, typed, why.text);
}

/* For an option that needs its argument: the text `attached` to it, or else the next in argv. */
static bool take_with_argument(struct parse *parse, const struct args_option *option,
                               const char *typed, const char *attached)
{
    if (attached)
        return take(parse, option, typed, attached);
    if (parse->next < parse->argc)
        return take(parse, option, typed, parse->argv[parse->next++]);
    struct error why;
    error_set(&why, "its argument %s is missing", option->argument);
    return refuse(parse, typed, why.text);
}

/* ---- long options ---- */

static bool begins_with(const struct args_option *option, const char *text, size_t size)
{
    return size > 0 && strncmp(option->name, text, size) == 0;
}

/* Lists the options that the `size` bytes at `text` may be short for. */
static bool refuse_ambiguous(const struct parse *parse, const char *typed, const char *text,
                             size_t size)
{
    struct error why;
    error_set(&why, "may be short for");
    const char *separator = " ";
    for (size_t i = 0; i < parse->program->option_count; i++) {
        const struct args_option *option = &parse->program->options[i];
        if (begins_with(option, text, size)) {
            size_t used = strlen(why.text);
            snprintf(why.text + used, sizeof why.text - used, "%s--%s", separator, option->name);
            separator = " or ";
        }
    }
    return refuse(parse, typed, why.text);
}

/* The option whose name is the `size` bytes at `text`, or the only one whose name begins with them.
 * NULL, with the error set, if there is none or more than one. */
static const struct args_option *find_long(const struct parse *parse, const char *typed,
                                           const char *text, size_t size)
{
    const struct args_option *found = NULL;
    size_t matches = 0;
    for (size_t i = 0; i < parse->program->option_count; i++) {
        const struct args_option *option = &parse->program->options[i];
        if (begins_with(option, text, size)) {
            if (option->name[size] == '\0')
                return option;
            found = option;
            matches++;
        }
    }
    if (matches == 0) {
        refuse(parse, typed, "there is no such option");
    } else if (matches > 1) {
        refuse_ambiguous(parse, typed, text, size);
        found = NULL;
    }
    return found;
}

/* `text` follows the two dashes. */
static bool parse_long(struct parse *parse, const char *text)
{
    size_t size = strcspn(text, "=");
    const char *attached = text[size] == '=' ? text + size + 1 : NULL;
    char typed[ESCAPE_SIZE];
    snprintf(typed, sizeof typed, "--%.*s", (int) size, text);
    const struct args_option *option = find_long(parse, typed, text, size);
    if (!option)
        return false;
    if (!option->argument && attached)
        return refuse(parse, typed, "it takes no argument");
    if (!option->argument || is_optional(option))
        return take(parse, option, typed, attached);
    return take_with_argument(parse, option, typed, attached);
}

/* ---- short options ---- */

static const struct args_option *find_short(const struct parse *parse, char letter)
{
    for (size_t i = 0; i < parse->program->option_count; i++)
        if (parse->program->options[i].letter == letter)
            return &parse->program->options[i];
    return NULL;
}

/* Options are ASCII. A longer UTF-8 character is not an option, but is to be shown whole. */
static size_t character_size(const char *text)
{
    size_t size = 1;
    while (((unsigned char) text[size] & 0xc0) == 0x80)
        size++;
    return size;
}

/* Letters, the last of which may have the rest as its argument. `letters` follows the dash. */
static bool parse_short(struct parse *parse, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        char typed[ESCAPE_SIZE];
        snprintf(typed, sizeof typed, "-%.*s", (int) character_size(letters), letters);
        const char *rest = letters[1] != '\0' ? letters + 1 : NULL;
        const struct args_option *option = find_short(parse, *letters);
        if (!option)
            return refuse(parse, typed, "there is no such option");
        if (option->argument)
            return is_optional(option) ? take(parse, option, typed, rest)
                                       : take_with_argument(parse, option, typed, rest);
        if (!take(parse, option, typed, NULL))
            return false;
    }
    return true;
}

/* ---- operands ---- */

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* "-" alone is none: it is an operand of most programs. */
static bool looks_like_option(const struct args_program *program, const char *text)
{
    if (text[0] != '-')
        return false;
    return program->operands ? text[1] == '-' || is_letter(text[1]) : text[1] != '\0';
}

/* Without a "--" in front of them. */
static bool check_operands(const struct parse *parse)
{
    const char *operands = parse->program->operands;
    for (int i = parse->next; operands && i < parse->argc; i++) {
        struct error why;
        if (!looks_like_option(parse->program, parse->argv[i]))
            continue;
        error_set(&why,
                  "options stand in front of the %s; if it is one of them, put -- in front of the "
                  "first",
                  operands);
        return refuse(parse, parse->argv[i], why.text);
    }
    return true;
}

int args_parse(const struct args_program *program, int argc, char **argv, void *context,
               bool *had_separator, struct error *error)
{
    struct parse parse = {program, argc, argv, 1, context, error};
    bool separator = false;
    while (!separator && parse.next < argc) {
        const char *text = argv[parse.next];
        if (!looks_like_option(program, text))
            break;
        parse.next++;
        if (strcmp(text, "--") == 0)
            separator = true;
        else if (!(text[1] == '-' ? parse_long(&parse, text + 2) : parse_short(&parse, text + 1)))
            return -1;
    }
    if (!separator && !check_operands(&parse))
        return -1;
    if (had_separator)
        *had_separator = separator;
    return parse.next;
}
