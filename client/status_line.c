/* status_line: carriage returns and blanks are all that a terminal has to understand. */
#include "client/status_line.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define QUICK_MS 200    /* what takes less is not worth a word */
#define TENTHS_MS 10000 /* tenths of a second can be told apart up to here */

/* The longest line that does not reach the last column, at which some terminals wrap. */
static size_t width(int fd)
{
    struct winsize size;
    bool is_known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return (is_known ? size.ws_col : 80) - 1;
}

static size_t at_most(size_t size, size_t limit) { return size < limit ? size : limit; }

void status_line_draw(struct status_line *line, int fd, const char *text, size_t size)
{
    size_t columns = width(fd);
    size_t shown = at_most(size, columns);
    /* A terminal that echoes may have appended this. */
    size_t before = line->drawn > 0 ? line->drawn + strlen("^C") : 0;
    size_t covered = at_most(before, columns);
    dprintf(fd, "\r%*s\r%.*s", (int) covered, "", (int) shown, text);
    line->drawn = shown;
}

void status_line_erase(struct status_line *line, int fd)
{
    if (line->drawn > 0)
        status_line_draw(line, fd, "", 0);
}

static int64_t step_ms(int64_t waited_ms) { return waited_ms < TENTHS_MS ? 100 : 1000; }

size_t status_line_wait_text(int64_t waited_ms, const char *verb, const char *hint, char *text)
{
    if (waited_ms < QUICK_MS)
        return 0;
    char time[32];
    int64_t seconds = waited_ms / 1000;
    if (waited_ms < TENTHS_MS)
        snprintf(time, sizeof time, "%" PRId64 ".%" PRId64 " s", seconds, waited_ms % 1000 / 100);
    else if (seconds < 60)
        snprintf(time, sizeof time, "%" PRId64 " s", seconds);
    else
        snprintf(time, sizeof time, "%" PRId64 ":%02" PRId64, seconds / 60, seconds % 60);
    int size = snprintf(text, STATUS_LINE_TEXT_SIZE, "%s %s; %s", verb, time, hint);
    return at_most((size_t) size, STATUS_LINE_TEXT_SIZE - 1);
}

int status_line_next_ms(int64_t waited_ms)
{
    if (waited_ms < QUICK_MS)
        return (int) (QUICK_MS - waited_ms);
    return (int) (step_ms(waited_ms) - waited_ms % step_ms(waited_ms));
}
