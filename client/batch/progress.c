/* progress: the words, the rate, and when they are shown. */
#include "client/batch/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"

#define FIRST_MS 1000
#define TERMINAL_PERIOD_MS 250
#define LINES_PERIOD_MS 1000
#define LINE_SIZE 200 /* longer than any line */

static bool is_pipe(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

void progress_init(struct progress *progress, enum options_when when)
{
    *progress = (struct progress){0};
    if (when == OPTIONS_NEVER)
        return;
    progress->is_terminal = isatty(STDERR_FILENO);
    progress->is_wanted =
        when == OPTIONS_ALWAYS || (progress->is_terminal && !isatty(STDOUT_FILENO));
    if (!progress->is_wanted)
        return;
    progress->hides_when_idle = when == OPTIONS_AUTO && is_pipe(STDOUT_FILENO);
    progress->past[0].at_ms = clock_ms();
    progress->past_count = 1;
    progress->next_ms = progress->past[0].at_ms + FIRST_MS;
}

int progress_wait_ms(const struct progress *progress)
{
    if (!progress->is_wanted)
        return -1;
    int64_t left_ms = progress->next_ms - clock_ms();
    return left_ms > 0 ? (int) left_ms : 0;
}

/* Replies a second since the oldest draw that is remembered, which this one replaces. */
static double measure_rate(struct progress *progress, int64_t now, uint64_t answered)
{
    size_t oldest =
        progress->past_count < PROGRESS_WINDOW ? 0 : progress->past_count % PROGRESS_WINDOW;
    int64_t span_ms = now - progress->past[oldest].at_ms;
    uint64_t count = answered - progress->past[oldest].answered;
    size_t newest = progress->past_count++ % PROGRESS_WINDOW;
    progress->past[newest].at_ms = now;
    progress->past[newest].answered = answered;
    return span_ms > 0 ? (double) count * 1000 / (double) span_ms : 0;
}

static int print_time_left(char *text, size_t size, double seconds)
{
    uint64_t whole = (uint64_t) (seconds + 0.5);
    if (whole >= 3600)
        return snprintf(text, size, ", %" PRIu64 ":%02u:%02u left", whole / 3600,
                        (unsigned) (whole / 60 % 60), (unsigned) (whole % 60));
    return snprintf(text, size, ", %u:%02u left", (unsigned) (whole / 60), (unsigned) (whole % 60));
}

/* How much of the whole input is answered, as if all its requests had one length. */
static double answered_share(const struct progress_state *state)
{
    if (state->sent == 0 || state->sent_share < 0)
        return state->sent_share;
    double share = state->sent_share * (double) state->answered / (double) state->sent;
    return share < 1 ? share : 1;
}

/* Writes the line; returns its length, which is less than LINE_SIZE. */
static size_t print_line(char *text, const struct progress_state *state, double rate)
{
    int used = snprintf(text, LINE_SIZE, "%" PRIu64 " sent, %" PRIu64 " answered, %.*f/s",
                        state->sent, state->answered, rate < 10 ? 1 : 0, rate);
    double share = answered_share(state);
    if (share >= 0)
        used += snprintf(text + used, LINE_SIZE - (size_t) used, ", %d %%", (int) (share * 100));
    double left = share > 0 ? (double) state->answered * (1 - share) / share : 0;
    if (share > 0 && rate > 0 && left / rate < 1e9)
        used += print_time_left(text + used, LINE_SIZE - (size_t) used, left / rate);
    return (size_t) used;
}

/* Whether another job has the terminal in the foreground. */
static bool is_in_background(void)
{
    pid_t foreground = tcgetpgrp(STDERR_FILENO);
    return foreground > 0 && foreground != getpgrp();
}

void progress_erase(struct progress *progress)
{
    status_line_erase(&progress->line, STDERR_FILENO);
}

bool progress_is_due(const struct progress *progress) { return progress_wait_ms(progress) == 0; }

void progress_show(struct progress *progress, const struct progress_state *state)
{
    int64_t now = clock_ms();
    progress->next_ms = now + (progress->is_terminal ? TERMINAL_PERIOD_MS : LINES_PERIOD_MS);
    char text[LINE_SIZE];
    double rate = measure_rate(progress, now, state->answered);
    size_t size = print_line(text, state, rate);
    if (!progress->is_terminal)
        dprintf(STDERR_FILENO, "banter: %.*s\n", (int) size, text);
    else if ((progress->hides_when_idle && state->is_idle) || is_in_background())
        progress_erase(progress);
    else
        status_line_draw(&progress->line, STDERR_FILENO, text, size);
}
