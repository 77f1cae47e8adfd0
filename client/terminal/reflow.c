/* reflow: columns, as wcwidth(3) and readline count them. */
#include "client/terminal/reflow.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define TAB_COLUMNS 8

/* A variable of the environment; "" if it is not set. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static bool is_set(const char *name) { return *variable(name); }

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

bool reflow_is_known(void)
{
    static const char *const types[] = {"tmux",        "alacritty",     "foot",
                                        "xterm-kitty", "xterm-ghostty", "wezterm"};
    const char *term = variable("TERM");
    /* Those may have been started from one of the others, whose variables they inherit. */
    if (is_set("XTERM_VERSION") || is_set("STY"))
        return false;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (begins_with(term, types[i]))
            return true;
    if (begins_with(term, "screen"))
        return is_set("TMUX");
    return begins_with(term, "xterm") && (is_set("VTE_VERSION") || is_set("KONSOLE_VERSION"));
}

/* Columns that the character takes from `column` on. */
static size_t width_of(wchar_t character, size_t column)
{
    if (character == L'\t')
        return TAB_COLUMNS - column % TAB_COLUMNS;
    int width = wcwidth(character);
    return width >= 0 ? (size_t) width : strlen("^X");
}

/* Returns the row of the last character, and puts the column behind it into `end`. */
static size_t walk(const char *text, size_t size, size_t columns, size_t *end)
{
    mbstate_t state;
    memset(&state, 0, sizeof state);
    size_t rows = 0;
    size_t column = 0;
    for (size_t at = 0; at < size;) {
        wchar_t character = L'?';
        size_t length = mbrtowc(&character, text + at, size - at, &state);
        bool is_character = length > 0 && length <= size - at;
        if (!is_character)
            memset(&state, 0, sizeof state);
        at += is_character ? length : 1;
        size_t width = is_character ? width_of(character, column) : 1;
        if (character == L'\n' || (column > 0 && column + width > columns)) {
            rows++;
            column = 0;
        }
        column += character == L'\n' ? 0 : width;
    }
    *end = column;
    return rows;
}

size_t reflow_rows(const char *text, size_t size, size_t before, size_t now)
{
    size_t end;
    walk(text, size, before, &end);
    /* Behind a full row readline goes to the next one, with a blank that the terminal moves too. */
    bool has_blank = end == before;
    size_t rows = walk(text, size, now, &end);
    return rows + (has_blank && end == now);
}
