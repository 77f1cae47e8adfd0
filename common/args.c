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

#include "common/ascii.h"
#include "common/escape.h"

enum { LARGEST_FILE = 1 << 20 }; /* a process can't be given many more bytes of arguments */

/* A call of args_parse(), or a file of options. */
struct parse {
    const struct args_program *program;
    int argc;
    char **argv;
    int next; /* index of the next argument */
    void *context;
    struct error *error;
    struct line_file *file; /* in the place of argv, or NULL */
};

/* Reports what is wrong with an option, which is shown as it was typed, such as "--max-cl" or "-m".
 * If the text would be too long the reason is cut, not the hint at its end. */
static bool refuse(const struct parse *parse, const char *typed, const char *why)
{
    struct error hint;
    error_set(&hint, "; see %s --help", parse->program->name);
    struct error place = {""};
    char shown[ESCAPE_SIZE];
    if (parse->file) {
        const char *path = parse->file->path;
        error_set(&place, "%s: line %u: ", escape_text(path, strlen(path), shown),
                  parse->file->line);
    }
    escape_text(typed, strlen(typed), shown);
    size_t around = strlen(place.text) + strlen(shown) + strlen(": ") + strlen(hint.text);
    size_t room = sizeof hint.text - 1 > around ? sizeof hint.text - 1 - around : 0;
    return error_set(parse->error, "%s%s: %.*s%s", place.text, shown, (int) room, why, hint.text);
}

/* The next argument or line, or NULL. */
static const char *next_word(struct parse *parse)
{
    if (parse->file)
        return line_file_next(parse->file);
    return parse->next < parse->argc ? parse->argv[parse->next++] : NULL;
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

/* For an option that needs its argument: the text `attached` to it, or else the next word. */
static bool take_with_argument(struct parse *parse, const struct args_option *option,
                               const char *typed, const char *attached)
{
    const char *value = attached ? attached : next_word(parse);
    if (value)
        return take(parse, option, typed, value);
    struct error why;
    error_set(&why, "its argument %s is missing", option->argument);
    return refuse(parse, typed, why.text);
}

/* ---- more than an option in a line ---- */

static bool is_blank_in_file(const struct parse *parse, char byte)
{
    return parse->file && ascii_is_white(byte);
}

/* Reports that `more` is in the line of an option, behind blanks, and says how to write it. */
static bool refuse_line(const struct parse *parse, const struct args_option *option,
                        const char *typed, const char *more)
{
    while (ascii_is_white(*more))
        more++;
    struct error why;
    char shown[ESCAPE_SIZE];
    escape_text(more, strlen(more), shown);
    if (!option->argument)
        error_set(&why, "it takes no argument, and nothing else can be in its line");
    else if (is_optional(option))
        error_set(&why, "its argument is attached: write %s%s%s", typed, typed[1] == '-' ? "=" : "",
                  shown);
    else
        error_set(&why, "its argument is attached or in the next line: write %s%s%s, or two lines",
                  typed, typed[1] == '-' ? "=" : "", shown);
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
    size_t size = strcspn(text, parse->file ? "= \t\v\f\r" : "=");
    const char *attached = text[size] == '=' ? text + size + 1 : NULL;
    char typed[ESCAPE_SIZE];
    snprintf(typed, sizeof typed, "--%.*s", (int) size, text);
    const struct args_option *option = find_long(parse, typed, text, size);
    if (!option)
        return false;
    if (is_blank_in_file(parse, text[size]))
        return refuse_line(parse, option, typed, text + size);
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
        if (is_blank_in_file(parse, letters[1]))
            return refuse_line(parse, option, typed, letters + 1);
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

/* ---- words in the place of an option ---- */

static bool parse_option(struct parse *parse, const char *text)
{
    return text[1] == '-' ? parse_long(parse, text + 2) : parse_short(parse, text + 1);
}

/* The line of a file that ends its options. */
static bool parse_separator(const struct parse *parse)
{
    return line_file_rest(parse->file) || refuse(parse, "--", "out of memory");
}

static bool parse_line(struct parse *parse, const char *line)
{
    if (line[0] == '@')
        return refuse(parse, line, "a file of options can't name another one");
    if (!looks_like_option(parse->program, line))
        return refuse(
            parse, line,
            "an option begins with a dash, and the line behind it is its argument only if "
            "it takes one");
    return parse_option(parse, line);
}

static bool parse_lines(struct parse *parse)
{
    for (const char *line = next_word(parse); line; line = next_word(parse)) {
        if (strcmp(line, "--") == 0)
            return parse_separator(parse);
        if (!parse_line(parse, line))
            return false;
    }
    return true;
}

static bool parse_file(const struct parse *from, const char *path)
{
    struct error why;
    struct parse parse = *from;
    if (path[0] == '\0')
        return refuse(from, "@", "the name of a file is missing");
    parse.file = line_file_open(path, LARGEST_FILE, &why);
    if (!parse.file)
        return refuse(from, path, why.text);
    parse.program->take_file(parse.file, parse.context);
    return parse_lines(&parse);
}

int args_parse(const struct args_program *program, int argc, char **argv, void *context,
               bool *had_separator, struct error *error)
{
    struct parse parse = {program, argc, argv, 1, context, error, NULL};
    bool separator = false;
    while (!separator && parse.next < argc) {
        const char *text = argv[parse.next];
        bool is_file = program->take_file && text[0] == '@';
        if (!is_file && !looks_like_option(program, text))
            break;
        parse.next++;
        if (strcmp(text, "--") == 0)
            separator = true;
        else if (!(is_file ? parse_file(&parse, text + 1) : parse_option(&parse, text)))
            return -1;
    }
    if (!separator && !check_operands(&parse))
        return -1;
    if (had_separator)
        *had_separator = separator;
    return parse.next;
}
