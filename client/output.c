/*
 * output: writes at most PIPE_BUF bytes after each poll(2) that says "writable": a pipe that says
 * so has room for that many. O_NONBLOCK would affect every process that shares the descriptor.
 */
#include "client/output.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/color.h"
#include "client/printable.h"
#include "common/protocol.h"

#define LARGE_BYTES ((size_t) 64 << 10)
#define FULL_BYTES ((size_t) 256 << 10)

static const char red[] = "\033[31m";
static const char plain[] = "\033[0m";
static const char mark[] = "! "; /* without colour */

static bool wants_color(enum options_when color, bool is_terminal)
{
    if (color != OPTIONS_AUTO)
        return color == OPTIONS_ALWAYS;
    const char *no_color = getenv("NO_COLOR");
    return is_terminal && !(no_color && *no_color) && color_is_known(getenv("TERM"));
}

void output_init(struct output *output, enum options_when color)
{
    struct stat status;
    memset(output, 0, sizeof *output);
    output->is_terminal = isatty(STDOUT_FILENO);
    output->is_file = fstat(STDOUT_FILENO, &status) == 0 && S_ISREG(status.st_mode);
    output->is_colored = wants_color(color, output->is_terminal);
}

void output_fini(struct output *output) { buffer_fini(&output->buffer); }

void output_reply(struct output *output, const char *reply, size_t size)
{
    if (output->failure)
        return;
    struct buffer *buffer = &output->buffer;
    bool is_error = protocol_is_error(reply, size);
    bool is_red = is_error && output->is_colored;
    bool is_marked = is_error && output->is_terminal && !output->is_colored;
    bool ok = (!is_red || buffer_append(buffer, red, sizeof red - 1)) &&
              (!is_marked || buffer_append(buffer, mark, sizeof mark - 1));
    if (output->is_terminal)
        ok = ok && printable_append(buffer, reply, size);
    else
        ok = ok && buffer_append(buffer, reply, size);
    ok = ok && (!is_red || buffer_append(buffer, plain, sizeof plain - 1)) &&
         buffer_append(buffer, "\n", 1);
    if (!ok)
        output->failure = ENOMEM;
}

void output_lines(struct output *output, const char *lines, size_t size)
{
    if (!output->failure && !buffer_append(&output->buffer, lines, size))
        output->failure = ENOMEM;
}

void output_block(struct output *output, const char *wire, size_t size)
{
    if (output->is_terminal)
        output_reply(output, wire, size - 1); /* which adds a newline */
    else
        output_lines(output, wire, size);
}

bool output_is_waiting(const struct output *output)
{
    return !output->failure && buffer_size(&output->buffer) > 0;
}

bool output_is_full(const struct output *output)
{
    return buffer_size(&output->buffer) >= FULL_BYTES;
}

bool output_is_large(const struct output *output)
{
    return buffer_size(&output->buffer) >= LARGE_BYTES;
}

uint64_t output_unwritten(const struct output *output)
{
    const char *at = buffer_head(&output->buffer);
    const char *end = at + buffer_size(&output->buffer);
    uint64_t count = 0;
    while (at != end && (at = memchr(at, '\n', (size_t) (end - at)))) {
        at++;
        count++;
    }
    return count;
}

void output_poll(const struct output *output, struct pollfd *fd)
{
    *fd = (struct pollfd){.fd = output->is_file ? -1 : STDOUT_FILENO,
                          .events = output_is_waiting(output) ? POLLOUT : 0};
}

void output_check(struct output *output, short revents)
{
    if (revents & (POLLERR | POLLHUP) && !output_is_waiting(output))
        output->failure = EPIPE;
}

/* Writes once, at most `limit` bytes. False if nothing more can be written for now, or ever. */
static bool write_once(struct output *output, size_t limit)
{
    size_t size = buffer_size(&output->buffer);
    ssize_t written =
        write(STDOUT_FILENO, buffer_head(&output->buffer), size < limit ? size : limit);
    if (written >= 0) {
        buffer_consume(&output->buffer, (size_t) written);
        return true;
    }
    if (errno == EINTR)
        return true;
    if (errno != EAGAIN)
        output->failure = errno;
    return false;
}

bool output_flush(struct output *output)
{
    while (output_is_waiting(output)) {
        if (!output->is_file) {
            struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
            if (poll(&fd, 1, 0) <= 0)
                break;
        }
        if (!write_once(output, output->is_file ? SIZE_MAX : PIPE_BUF))
            break;
    }
    return output->failure == 0;
}

bool output_flush_all(struct output *output)
{
    while (output_is_waiting(output)) {
        struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
        if (!write_once(output, SIZE_MAX) && !output->failure)
            poll(&fd, 1, -1);
    }
    return output->failure == 0;
}

bool output_close(struct output *output)
{
    if (output->failure || close(STDOUT_FILENO) == 0)
        return true;
    output->failure = errno;
    return false;
}
