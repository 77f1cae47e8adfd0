/*
 * exchange: one request and its answer. The request is written as a line, and the line that comes
 * back is the answer. Knows pipes and requests, neither workers nor processes.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_EXCHANGE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"

struct request;

/* All zero: none. */
struct exchange {
    struct request *request; /* held; NULL: none */
    size_t written;          /* bytes of the request and its newline */
    bool replied;            /* the request is answered */
    struct buffer answer;    /* the line so far */
};

/* Takes over the hold of the request. */
void exchange_begin(struct exchange *exchange, struct request *request);

enum exchange_progress {
    EXCHANGE_WRITTEN, /* to its end */
    EXCHANGE_BLOCKED, /* there is no room for now */
    EXCHANGE_CLOSED,  /* there is no reader any more */
};

/* Writes the next part of the request to a descriptor that does not block. */
enum exchange_progress exchange_write(struct exchange *exchange, int fd);

bool exchange_is_written(const struct exchange *exchange);

/* Takes the next part of the answer; not for a request that is answered. NULL, or why the writer
 * can't be trusted any more. */
const char *exchange_take(struct exchange *exchange, const char *text, size_t size);

/* Answers "-ERR CODE TEXT", unless the request is answered or over: a second answer would only be
 * logged as dropped. */
void exchange_refuse(struct exchange *exchange, const char *code, const char *text);

/* Whether a part of the answer has come. */
static inline bool exchange_is_in_answer(const struct exchange *exchange)
{
    return buffer_size(&exchange->answer) > 0;
}

/* Releases the request, if there is one, and forgets the answer. */
void exchange_end(struct exchange *exchange);

#endif
