/* paste: lines are found as they are taken. */
#include "client/terminal/paste.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The line behind the one that ends at `end`; NULL: there is none. */
static const char *line_behind(const char *end)
{
    return end[0] == '\n' && end[1] != '\0' ? end + 1 : NULL;
}

void paste_set(struct paste *paste, char *text)
{
    free(paste->text);
    paste->text = text;
    paste->next = text;
}

void paste_fini(struct paste *paste) { paste_set(paste, NULL); }

bool paste_append(struct buffer *text, const struct options *options, const char *request,
                  size_t size)
{
    static const char mark[] = {PASTE_AS_IT_IS};
    bool is_marked =
        options_is_quit(options, request, size) || (size > 0 && request[0] == PASTE_AS_IT_IS);
    return buffer_append(text, mark, is_marked) && buffer_append(text, request, size) &&
           buffer_append(text, "\n", 1);
}

bool paste_put_back(struct paste *paste, const struct buffer *text)
{
    char *joined;
    size_t size = buffer_size(text) - (paste->next == NULL); /* the last newline ends nothing */
    if (asprintf(&joined, "%.*s%s", (int) size, buffer_head(text), paste->next ? paste->next : "") <
        0)
        return false;
    paste_set(paste, joined);
    return true;
}

bool paste_peek(const struct paste *paste, struct paste_line *line)
{
    if (!paste->next)
        return false;
    line->text = paste->next;
    line->size = (size_t) (strchrnul(line->text, '\n') - line->text);
    return true;
}

void paste_take(struct paste *paste) { paste->next = line_behind(strchrnul(paste->next, '\n')); }

void paste_drop(struct paste *paste) { paste->next = NULL; }

bool paste_walk(const struct paste *paste, const struct options *options,
                void (*visit)(const struct paste_line *line), size_t *count)
{
    struct paste left = *paste;
    struct paste_line line;
    *count = 0;
    for (; paste_peek(&left, &line); paste_take(&left)) {
        if (options_is_quit(options, line.text, line.size))
            return true;
        if (visit)
            visit(&line);
        ++*count;
    }
    return false;
}
