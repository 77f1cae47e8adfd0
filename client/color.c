/* color: asks terminfo, by the library that readline uses too. */
#include "client/color.h"

#include <stddef.h>
#include <unistd.h>

/* Behind all others: they have macros with everyday names. */
#include <curses.h>
#include <term.h>

#define COLORS 8 /* ISO 6429's, of which red is one */

bool color_is_known(const char *term)
{
    int result;
    TERMINAL *before = cur_term;
    if (!term || !*term || setupterm(term, STDOUT_FILENO, &result) != OK)
        return false;
    int colors = tigetnum("colors");
    TERMINAL *ours = set_curterm(before);
    del_curterm(ours);
    return colors >= COLORS;
}
