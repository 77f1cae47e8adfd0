/*
 * entered: a text that is walked line by line.
 */
#include "client/terminal/entered.h"

#include <stdlib.h>
#include <string.h>

/* The line behind the one that ends at `end`; NULL: there is none. */
static const char *line_behind(const char *end)
{
    return end[0] == '\n' && end[1] != '\0' ? end + 1 : NULL;
}

void entered_set(struct entered *entered, char *text)
{
    free(entered->text);
    entered->text = text;
    entered->next = text;
}

void entered_fini(struct entered *entered) { entered_set(entered, NULL); }

bool entered_peek(const struct entered *entered, struct entered_line *line)
{
    if (!entered->next)
        return false;
    line->text = entered->next;
    line->size = (size_t) (strchrnul(line->text, '\n') - line->text);
    return true;
}

void entered_take(struct entered *entered)
{
    entered->next = line_behind(strchrnul(entered->next, '\n'));
}

void entered_drop(struct entered *entered) { entered->next = NULL; }
