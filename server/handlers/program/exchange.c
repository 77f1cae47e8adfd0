/* exchange: lines out, and what comes back. */
#include "server/handlers/program/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/request.h"

void exchange_begin(struct exchange *exchange, struct request *request)
{
    exchange->request = request;
    exchange->behind_first = exchange->behind_end = 0;
    exchange->count = 1;
    exchange->left = 0;
    exchange->size = request_size(request);
    exchange->gone = exchange->written = 0;
    exchange->replied = false;
    exchange->telling_size = exchange->tells ? telling_write(request, exchange->telling) : 0;
    answer_clear(&exchange->answer);
}

bool exchange_add(struct exchange *exchange, struct request *request)
{
    if (!exchange->behind)
        exchange->behind = malloc(EXCHANGE_MAX * sizeof(struct request *));
    if (!exchange->behind)
        return false;
    exchange->behind[exchange->behind_end++] = request;
    exchange->count++;
    exchange->size += request_size(request);
    exchange->answer.more++;
    return true;
}

struct request *exchange_return(struct exchange *exchange)
{
    struct request *request = exchange->request;
    if (!request)
        return NULL;
    exchange->left++;
    exchange->gone += request_size(request);
    exchange->request = exchange->behind_first < exchange->behind_end
                            ? exchange->behind[exchange->behind_first++]
                            : NULL;
    if (!exchange->request)
        answer_clear(&exchange->answer);
    return request;
}

/* From their beginning. */
static void begin_anew(struct exchange *exchange)
{
    exchange->count -= exchange->left;
    exchange->left = 0;
    exchange->size -= exchange->gone;
    exchange->gone = exchange->written = 0;
    answer_clear(&exchange->answer);
    exchange->answer.more = exchange->count > 1 ? exchange->count - 1 : 0;
}

void exchange_again(struct exchange *exchange)
{
    while (exchange->request && request_is_over(exchange->request))
        request_release(exchange_return(exchange));
    if (exchange->request)
        request_defer(exchange->request);
    for (unsigned i = exchange->behind_first; i < exchange->behind_end; i++)
        request_defer(exchange->behind[i]);
    begin_anew(exchange);
}

/* Of those behind the first. */
static void start_behind(struct exchange *exchange)
{
    unsigned end = exchange->behind_first;
    for (unsigned i = end; i < exchange->behind_end; i++) {
        struct request *request = exchange->behind[i];
        if (request_begin(request)) {
            exchange->behind[end++] = request;
            continue;
        }
        exchange->count--;
        exchange->size -= request_size(request);
        request_release(request);
    }
    exchange->behind_end = end;
}

void exchange_start(struct exchange *exchange)
{
    while (exchange->request && !request_begin(exchange->request))
        request_release(exchange_return(exchange));
    if (exchange->request)
        start_behind(exchange);
    begin_anew(exchange);
}

void exchange_end(struct exchange *exchange)
{
    struct request *request;
    while ((request = exchange_return(exchange)))
        request_release(request);
    answer_clear(&exchange->answer);
}

void exchange_fini(struct exchange *exchange)
{
    free(exchange->behind);
    buffer_fini(&exchange->answer.text);
}

/* ---- the answer ---- */

void exchange_reply(struct exchange *exchange, const char *reply, size_t size)
{
    if (!exchange->replied && !request_is_over(exchange->request))
        request_reply(exchange->request, reply, size);
    exchange->replied = true;
}

static void refuse(struct request *request, const char *code, const char *text)
{
    if (!request_is_over(request))
        request_refuse(request, code, "%s", text);
}

void exchange_refuse(struct exchange *exchange, const char *code, const char *text)
{
    if (!exchange->replied && exchange->request) {
        refuse(exchange->request, code, text);
        for (unsigned i = exchange->behind_first; i < exchange->behind_end; i++)
            refuse(exchange->behind[i], code, text);
    }
    exchange->replied = true;
}

void exchange_end_session(struct exchange *exchange)
{
    if (!exchange->replied && exchange->request && !request_is_over(exchange->request))
        request_end_session(exchange->request);
}

/* The first one is answered. */
static void answered_first(struct exchange *exchange)
{
    if (exchange->behind_first < exchange->behind_end)
        request_release(exchange_return(exchange));
    else
        exchange->replied = true;
}

void exchange_refuse_first(struct exchange *exchange, const char *code, const char *text)
{
    if (exchange->replied || !exchange->request)
        return;
    refuse(exchange->request, code, text);
    answered_first(exchange);
}

void exchange_reply_each(struct exchange *exchange, const struct reply_rules *rules)
{
    struct answer_verdict verdict;
    size_t offset = 0;
    while (!exchange->replied && answer_next(&exchange->answer, rules, &offset, &verdict)) {
        if (verdict.outcome == ANSWER_WRONG)
            refuse(exchange->request, PROTOCOL_HANDLER_FAILED, verdict.why);
        else if (!request_is_over(exchange->request))
            request_reply(exchange->request, verdict.text, verdict.size);
        answered_first(exchange);
    }
}

/* ---- the requests ---- */

/* The bytes of so many requests with all that is written around each. */
static size_t with_ends(const struct exchange *exchange, size_t size, unsigned count,
                        size_t end_size)
{
    return size + count * (exchange->telling_size + end_size);
}

int64_t exchange_late_ms(int64_t deadline_ms, int64_t paused_ms)
{
    return deadline_ms == CLOCK_NEVER ? CLOCK_NEVER
                                      : deadline_ms - paused_ms + EXCHANGE_LATE_GRACE_MS;
}

bool exchange_is_written(const struct exchange *exchange, size_t end_size)
{
    return exchange->written >= with_ends(exchange, exchange->size, exchange->count, end_size);
}

/* Where the first request begins, in bytes from the beginning of the turn. */
static size_t begin_of_first(const struct exchange *exchange, size_t end_size)
{
    return with_ends(exchange, exchange->gone, exchange->left, end_size);
}

bool exchange_is_unread(const struct exchange *exchange, size_t end_size, size_t unread)
{
    return exchange->written <= begin_of_first(exchange, end_size) + unread;
}

void exchange_defer_unread(const struct exchange *exchange, size_t end_size, size_t unread)
{
    size_t begin = begin_of_first(exchange, end_size);
    struct request *request = exchange->replied ? NULL : exchange->request;
    for (unsigned i = exchange->behind_first; request; i++) {
        if (exchange->written <= begin + unread)
            request_defer(request);
        begin += request_size(request) + exchange->telling_size + end_size;
        request = i < exchange->behind_end ? exchange->behind[i] : NULL;
    }
}

struct parts {
    struct iovec iovecs[3 * EXCHANGE_MAX];
    int count;
    size_t skip; /* bytes of what comes next that are written */
};

/* writev(2) does not write to the text. */
static void add_part(struct parts *parts, const char *text, size_t size)
{
    size_t skip = parts->skip < size ? parts->skip : size;
    parts->skip -= skip;
    if (skip < size)
        parts->iovecs[parts->count++] =
            (struct iovec){(char *) (uintptr_t) text + skip, size - skip};
}

/* One write of the rest of the messages and their ends. */
static ssize_t write_some(const struct exchange *exchange, int fd, const char *end, size_t end_size)
{
    struct parts parts;
    const struct request *request = exchange->request;
    parts.count = 0;
    parts.skip = exchange->written - begin_of_first(exchange, end_size);
    for (unsigned i = exchange->behind_first; request; i++) {
        add_part(&parts, exchange->telling, exchange->telling_size);
        add_part(&parts, request_message(request), request_size(request));
        add_part(&parts, end, end_size);
        request = i < exchange->behind_end ? exchange->behind[i] : NULL;
    }
    return writev(fd, parts.iovecs, parts.count);
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
