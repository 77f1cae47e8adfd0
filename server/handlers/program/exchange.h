/*
 * exchange: one request and its answer: the request is written as a line, and what comes back in
 * the turn is collected. Knows pipes and requests, neither workers nor processes.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_EXCHANGE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/handlers/program/answer.h"

struct request;

/* All zero: none. */
struct exchange {
    struct request *request; /* held; NULL: none */
    size_t written;          /* bytes of the request and its end */
    bool replied;            /* the request is answered; the turn may go on */
    struct answer answer;
};

/* Takes over the hold of the request. */
void exchange_begin(struct exchange *exchange, struct request *request);

enum exchange_progress {
    EXCHANGE_WRITTEN, /* to its end */
    EXCHANGE_BLOCKED, /* there is no room for now */
    EXCHANGE_CLOSED,  /* there is no reader any more */
};

/* Writes the next part of the request and its end, which is a newline at least, to a descriptor
 * that does not block. */
enum exchange_progress exchange_write(struct exchange *exchange, int fd, const char *end,
                                      size_t end_size);

/* Whether the request and an end of that size are written. */
bool exchange_is_written(const struct exchange *exchange, size_t end_size);

/* Replies, or answers "-ERR CODE TEXT", unless the request is answered or over: a second answer
 * would only be logged as dropped. */
void exchange_reply(struct exchange *exchange, const char *reply, size_t size);
void exchange_refuse(struct exchange *exchange, const char *code, const char *text);

/* The error that comes next is the session's last answer. */
void exchange_end_session(struct exchange *exchange);

/* Gives the request back, with its hold, as if it had never been taken. */
struct request *exchange_return(struct exchange *exchange);

/* Releases the request, if there is one, and forgets the answer. */
void exchange_end(struct exchange *exchange);

/* Gives the memory back; there is no request. */
void exchange_fini(struct exchange *exchange);

#endif
