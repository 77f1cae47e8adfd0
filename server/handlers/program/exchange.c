/* exchange: a line out, and what comes back. */
#include "server/handlers/program/exchange.h"

#include <errno.h>
#include <stdint.h>
#include <sys/uio.h>

#include "server/request.h"

void exchange_begin(struct exchange *exchange, struct request *request)
{
    exchange->request = request;
    exchange->written = 0;
    exchange->replied = false;
    answer_clear(&exchange->answer);
}

struct request *exchange_return(struct exchange *exchange)
{
    struct request *request = exchange->request;
    exchange->request = NULL;
    answer_clear(&exchange->answer);
    return request;
}

void exchange_end(struct exchange *exchange)
{
    struct request *request = exchange_return(exchange);
    if (request)
        request_release(request);
}

void exchange_fini(struct exchange *exchange) { buffer_fini(&exchange->answer.text); }

/* ---- the answer ---- */

void exchange_reply(struct exchange *exchange, const char *reply, size_t size)
{
    if (!exchange->replied && !request_is_over(exchange->request))
        request_reply(exchange->request, reply, size);
    exchange->replied = true;
}

void exchange_refuse(struct exchange *exchange, const char *code, const char *text)
{
    if (!exchange->replied && !request_is_over(exchange->request))
        request_refuse(exchange->request, code, "%s", text);
    exchange->replied = true;
}

void exchange_end_session(struct exchange *exchange)
{
    if (!exchange->replied && !request_is_over(exchange->request))
        request_end_session(exchange->request);
}

/* ---- the request ---- */

bool exchange_is_written(const struct exchange *exchange, size_t end_size)
{
    return exchange->written >= request_size(exchange->request) + end_size;
}

/* A part of the line from its byte `from` on; writev(2) does not write to it. */
static struct iovec rest_of(const char *text, size_t size, size_t from)
{
    return (struct iovec){(char *) (uintptr_t) text + from, size - from};
}

/* One write of the rest of the message and its end. */
static ssize_t write_some(const struct exchange *exchange, int fd, const char *end, size_t end_size)
{
    size_t size = request_size(exchange->request), written = exchange->written;
    struct iovec parts[2];
    int count = 0;
    if (written < size)
        parts[count++] = rest_of(request_message(exchange->request), size, written);
    parts[count++] = rest_of(end, end_size, written > size ? written - size : 0);
    return writev(fd, parts, count);
}

enum exchange_progress exchange_write(struct exchange *exchange, int fd, const char *end,
                                      size_t end_size)
{
    ssize_t written;
    do {
        written = write_some(exchange, fd, end, end_size);
    } while (written < 0 && errno == EINTR);
    if (written < 0 && errno != EAGAIN)
        return EXCHANGE_CLOSED;
    exchange->written += written > 0 ? (size_t) written : 0;
    return exchange_is_written(exchange, end_size) ? EXCHANGE_WRITTEN : EXCHANGE_BLOCKED;
}
