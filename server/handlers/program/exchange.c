/* exchange: one line out, one line back. */
#include "server/handlers/program/exchange.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "common/protocol.h"
#include "server/request.h"

void exchange_begin(struct exchange *exchange, struct request *request)
{
    *exchange = (struct exchange){.request = request};
}

void exchange_end(struct exchange *exchange)
{
    if (exchange->request)
        request_release(exchange->request);
    buffer_fini(&exchange->answer);
    *exchange = (struct exchange){0};
}

void exchange_refuse(struct exchange *exchange, const char *code, const char *text)
{
    if (!exchange->replied && !request_is_over(exchange->request))
        request_refuse(exchange->request, code, "%s", text);
    exchange->replied = true;
}

/* ---- the request ---- */

bool exchange_is_written(const struct exchange *exchange)
{
    return exchange->written > request_size(exchange->request);
}

/* One write of the rest of the message and its newline. */
static ssize_t write_some(const struct exchange *exchange, int fd)
{
    static char newline[] = "\n";
    size_t size = request_size(exchange->request);
    struct iovec parts[2];
    int count = 0;
    if (exchange->written < size) {
        /* writev(2) does not write to it. */
        char *message = (char *) (uintptr_t) request_message(exchange->request);
        parts[count++] = (struct iovec){message + exchange->written, size - exchange->written};
    }
    parts[count++] = (struct iovec){newline, 1};
    return writev(fd, parts, count);
}

enum exchange_progress exchange_write(struct exchange *exchange, int fd)
{
    ssize_t written;
    do {
        written = write_some(exchange, fd);
    } while (written < 0 && errno == EINTR);
    if (written < 0 && errno != EAGAIN)
        return EXCHANGE_CLOSED;
    exchange->written += written > 0 ? (size_t) written : 0;
    return exchange_is_written(exchange) ? EXCHANGE_WRITTEN : EXCHANGE_BLOCKED;
}

/* ---- the answer ---- */

static void reply(struct exchange *exchange, const char *line, size_t size)
{
    if (size > 0 && line[size - 1] == '\r')
        size--; /* CR LF ends a line too */
    if (size > PROTOCOL_MAX_REPLY)
        exchange_refuse(exchange, PROTOCOL_HANDLER_FAILED,
                        "the program's answer is longer than 16 MiB");
    else if (!request_is_over(exchange->request))
        request_reply(exchange->request, line, size);
    exchange->replied = true;
}

const char *exchange_take(struct exchange *exchange, const char *text, size_t size)
{
    struct buffer *answer = &exchange->answer;
    const char *newline = memchr(text, '\n', size);
    size_t length = newline ? (size_t) (newline - text) : size;
    bool whole = newline && buffer_size(answer) == 0; /* most often: needs no buffer */
    if (!whole && buffer_size(answer) + length > PROTOCOL_MAX_REPLY + 1)
        return "the program's answer is longer than 16 MiB";
    if (!whole && !buffer_append(answer, text, length))
        return "out of memory";
    if (newline && length + 1 < size)
        return "the program has answered more than one line";
    if (whole) {
        reply(exchange, text, length);
    } else if (newline) {
        reply(exchange, buffer_head(answer), buffer_size(answer));
        buffer_fini(answer);
    }
    return NULL;
}
