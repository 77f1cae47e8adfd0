/* operands: files of options, and a program. */
#include "server/operands.h"

#include <string.h>

#include "common/escape.h"

/* ---- files ---- */

void operands_add_file(struct operands *operands, struct line_file *file)
{
    file->next = operands->files;
    operands->files = file;
}

void operands_fini(struct operands *operands)
{
    while (operands->files) {
        struct line_file *next = operands->files->next;
        line_file_close(operands->files);
        operands->files = next;
    }
}

/* ---- the program ---- */

static bool take_words(struct operands *operands, char **words, bool separator, struct error *error)
{
    char shown[ESCAPE_SIZE];
    if (words[0] && !separator)
        return error_set(
            error, "unexpected operand \"%s\": put -- in front of a program; see banterd --help",
            escape_text(words[0], strlen(words[0]), shown));
    if (separator && (!words[0] || !words[0][0]))
        return error_set(error, "there is no program behind --; see banterd --help");
    operands->program = words[0] ? words : NULL;
    return true;
}

/* Takes what is behind "--" in a file. */
static bool take_rest(struct operands *operands, const struct line_file *file, struct error *error)
{
    const char *wrong = NULL;
    char shown[ESCAPE_SIZE];
    if (!file->rest[0] || !file->rest[0][0])
        wrong = "there is no program behind --";
    else if (operands->program)
        wrong = "there is another program already, and only one can answer";
    if (wrong)
        return error_set(error, "%s: line %u: %s; see banterd --help",
                         escape_text(file->path, strlen(file->path), shown), file->line, wrong);
    operands->program = file->rest;
    return true;
}

bool operands_find_program(struct operands *operands, char **words, bool separator,
                           struct error *error)
{
    if (!take_words(operands, words, separator, error))
        return false;
    for (const struct line_file *file = operands->files; file; file = file->next)
        if (file->rest && !take_rest(operands, file, error))
            return false;
    return true;
}
