/*
 * args_help: the text of --help, from the table that args.c parses with: the option on the left,
 * what it does on the right, its default at the end.
 */
#include "common/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 80,
    LEFT_MAX = 30, /* a longer option has a line to itself and does not push the other texts away */
    GAP = 2,
};

/* Words side by side, broken into lines. */
struct column {
    FILE *out;
    size_t left;   /* the column in which a line of the text begins */
    size_t indent; /* the one in which a broken line continues */
    size_t at;     /* the one reached */
};

static struct column column_at(FILE *out, size_t left)
{
    return (struct column){out, left, left, left};
}

static void put_spaces(struct column *column, size_t count)
{
    fprintf(column->out, "%*s", (int) count, "");
    column->at += count;
}

static void new_line(struct column *column)
{
    fputc('\n', column->out);
    column->at = 0;
    put_spaces(column, column->indent);
}

/* Prepares for a word of `size` bytes that `gap` spaces separate from the one before. After a wide
 * gap, as in a small table, a broken line continues under the word. */
static void make_room(struct column *column, size_t gap, size_t size)
{
    if (column->at > column->indent && column->at + gap + size > WIDTH) {
        new_line(column);
        return;
    }
    put_spaces(column, gap);
    if (gap > 1)
        column->indent = column->at;
}

/* Puts the words of the first line of `text`. Returns the end of that line. */
static const char *put_line(struct column *column, const char *text)
{
    for (;;) {
        size_t gap = strspn(text, " ");
        size_t size = strcspn(text + gap, " \n");
        if (size == 0)
            return text + gap;
        make_room(column, gap, size);
        fwrite(text + gap, 1, size, column->out);
        column->at += size;
        text += gap + size;
    }
}

/* Puts text and keeps its line ends. */
static void put_text(struct column *column, const char *text)
{
    for (text = put_line(column, text); *text == '\n'; text = put_line(column, text + 1)) {
        column->indent = column->left;
        new_line(column);
    }
}

/* Lines from the left margin. */
static void put_paragraph(FILE *out, const char *text)
{
    struct column column = column_at(out, 0);
    put_text(&column, text);
    fputc('\n', out);
}

/* Writes "  -l, --listen ADDRESS" and returns its size; with `out` NULL only returns the size. */
static size_t put_left(FILE *out, const struct args_option *option)
{
    bool has_argument = option->argument;
    bool is_optional = has_argument && option->argument[0] == '[';
    /* "[T]" is given as --wait=T, and shown as --wait[=T]. */
    const char *between = is_optional ? "[=" : has_argument ? " " : "";
    const char *argument = has_argument ? option->argument + is_optional : "";
    if (out) {
        const char letter[] = {'-', (char) option->letter, ',', '\0'};
        fprintf(out, "  %3s --%s%s%s", option->letter != 0 ? letter : "", option->name, between,
                argument);
    }
    return strlen("  -x, --") + strlen(option->name) + strlen(between) + strlen(argument);
}

static size_t right_column(const struct args_program *program)
{
    size_t widest = 0;
    for (size_t i = 0; i < program->option_count; i++) {
        size_t size = put_left(NULL, &program->options[i]);
        if (size > widest && size <= LEFT_MAX)
            widest = size;
    }
    return widest + GAP;
}

static void put_option(FILE *out, const struct args_option *option, size_t right)
{
    size_t size = put_left(out, option);
    bool fits = size + GAP <= right;
    fprintf(out, "%s%*s", fits ? "" : "\n", (int) (fits ? right - size : right), "");
    struct column column = column_at(out, right);
    put_text(&column, option->help);
    if (option->fallback) {
        make_room(&column, 1, strlen("(default: )") + strlen(option->fallback));
        fprintf(out, "(default: %s)", option->fallback);
    }
    fputc('\n', out);
}

char *args_help(const struct args_program *program)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "Usage: %s %s\n", program->name, program->synopsis);
    put_paragraph(out, program->about);
    fputs("\nOptions:\n", out);
    size_t right = right_column(program);
    for (size_t i = 0; i < program->option_count; i++)
        put_option(out, &program->options[i], right);
    if (program->trailer) {
        fputc('\n', out);
        put_paragraph(out, program->trailer);
    }
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
