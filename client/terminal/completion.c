/* completion: the words of readline's history, the latest first. */
#include "client/terminal/completion.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <readline/history.h>
#include <readline/readline.h>

#define WHITE_SPACE " \t\n"
#define MATCHES_MAX 500 /* the latest ones; more than a screen full of words is of no use */

/* The walk through the history. */
static struct {
    int entry;        /* from history_length - 1 down to 0 */
    const char *rest; /* of that entry; NULL: not begun */
    int found;
} walk;

static bool begins_with(const char *word, size_t size, const char *text)
{
    size_t wanted = strlen(text);
    const char *ignores_case = rl_variable_value("completion-ignore-case");
    if (size < wanted)
        return false;
    return ignores_case && strcmp(ignores_case, "on") == 0 ? strncasecmp(word, text, wanted) == 0
                                                           : strncmp(word, text, wanted) == 0;
}

/* The next word of the walk, `size` long; NULL at its end. */
static const char *next_word(size_t *size)
{
    for (; walk.entry >= 0; walk.entry--, walk.rest = NULL) {
        const HIST_ENTRY *entry = history_get(history_base + walk.entry);
        if (!walk.rest)
            walk.rest = entry ? entry->line : "";
        const char *word = walk.rest + strspn(walk.rest, WHITE_SPACE);
        *size = strcspn(word, WHITE_SPACE);
        walk.rest = word + *size;
        if (*size > 0)
            return word;
    }
    return NULL;
}

/* For rl_completion_matches(): the next match, heap memory that readline frees; NULL: no more. */
static char *next_match(const char *text, int is_going_on)
{
    if (!is_going_on) {
        walk.entry = history_length - 1;
        walk.rest = NULL;
        walk.found = 0;
    }
    const char *word;
    size_t size;
    while (*text && walk.found < MATCHES_MAX && (word = next_word(&size))) {
        if (begins_with(word, size, text)) {
            walk.found++;
            return strndup(word, size);
        }
    }
    return NULL;
}

static char **complete(const char *text, int begin, int end)
{
    (void) begin, (void) end;
    rl_attempted_completion_over = 1;      /* no names of files */
    rl_completion_append_character = '\0'; /* readline resets it */
    return rl_completion_matches(text, next_match);
}

void completion_init(void)
{
    rl_attempted_completion_function = complete;
    rl_completer_word_break_characters = WHITE_SPACE;
    rl_completion_query_items = 0;
    rl_variable_bind("page-completions", "off");
}
