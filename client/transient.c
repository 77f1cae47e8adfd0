/*
 * transient: carriage returns and blanks are all that a terminal has to understand.
 */
#include "client/transient.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* How many columns a line may have without reaching the last one, where some terminals wrap. */
static size_t width(int fd)
{
    struct winsize size;
    const bool is_known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return (is_known ? size.ws_col : 80) - 1;
}

static size_t at_most(size_t size, size_t limit) { return size < limit ? size : limit; }

void transient_draw(struct transient *transient, int fd, const char *text, size_t size)
{
    const size_t columns = width(fd);
    const size_t shown = at_most(size, columns);
    /* A terminal that echoes may have put this behind it. */
    const size_t before = transient->drawn > 0 ? transient->drawn + strlen("^C") : 0;
    const size_t covered = at_most(before, columns);
    dprintf(fd, "\r%*s\r%.*s", (int) covered, "", (int) shown, text);
    transient->drawn = shown;
}

void transient_erase(struct transient *transient, int fd)
{
    if (transient->drawn > 0)
        transient_draw(transient, fd, "", 0);
}
