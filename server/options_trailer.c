/* options_trailer: see options_trailer.h. */
#include "server/options_trailer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/handlers/kinds.h"

/* A line for each handler that --handler can name. Completion reads these lines. */
static void put_handlers(FILE *out)
{
    int widest = 0;
    for (const struct handler_kind *const *kind = handler_kinds; *kind; kind++) {
        int size = (*kind)->usage ? (int) strlen((*kind)->usage) : 0;
        widest = size > widest ? size : widest;
    }
    fputs("Handlers:\n", out);
    for (const struct handler_kind *const *kind = handler_kinds; *kind; kind++)
        if ((*kind)->usage)
            fprintf(out, "  %-*s  %s\n", widest, (*kind)->usage, (*kind)->help);
}

char *options_trailer(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    put_handlers(out);
    fputs("\n"
          "@FILE stands for the options in FILE: each line is an option or its value, or a\n"
          "comment behind #. Behind a line -- each line is a word of PROGRAM.\n"
          "SIGTERM and SIGINT stop it: what has been received is answered first. SIGHUP\n"
          "lets it read files anew, SIGUSR1 lets it log its status.\n"
          "Exit status: 0 stopped, 1 could not start, 2 stopped with handlers left behind,\n"
          "64 wrong usage. See banterd(8) and banter-protocol(7).",
          out);
    bool failed = ferror(out);
    if (fclose(out) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}
