/*
 * operands: what stands on banterd's command line beside the options of its table: files of
 * options, and a program.
 */
#ifndef BANTER_SERVER_OPERANDS_H
#define BANTER_SERVER_OPERANDS_H

#include <stdbool.h>

#include "common/error.h"
#include "common/line_file.h"

struct operands {
    struct line_file *files; /* owned */
    char **program;          /* NULL-terminated, in argv or in one of the files; NULL: none */
};

/* Takes over a file of options. */
void operands_add_file(struct operands *operands, struct line_file *file);

/* Finds the program: it is `words`, which are NULL-terminated, with a "--" in front of them or not,
 * or is in one of the files. False, with `error` set, if there is none where one should be, or more
 * than one. */
bool operands_find_program(struct operands *operands, char **words, bool separator,
                           struct error *error);

/* Closes the files. */
void operands_fini(struct operands *operands);

#endif
