/*
 * exchange: requests and their answers: each request is written as a line, and what comes back in
 * the turn is collected. Most often it is one request; several of one session are written at once.
 * Knows pipes and requests, neither workers nor processes.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_EXCHANGE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/handlers/program/answer.h"
#include "server/handlers/program/telling.h"

struct request;

enum {
    EXCHANGE_MAX = 64,           /* as many as a session may have under way */
    EXCHANGE_LATE_GRACE_MS = 10, /* after a request's deadline, at which the engine answers */
};

/* All zero: none. */
struct exchange {
    struct request *request; /* the first that has not left; held; NULL: none */
    struct request **behind; /* those that come after it; held; the array is owned, or NULL */
    unsigned behind_first, behind_end;
    unsigned count, left; /* requests of this turn, and how many of them have left */
    /* the bytes of those and of these, without what is written in front of each and behind it */
    size_t size, gone;
    size_t written;      /* bytes of the requests and their ends */
    bool replied;        /* all requests are answered; the turn may go on */
    bool tells;          /* each request has the telling in front of it; for good */
    size_t telling_size; /* not counted in `size` and `gone`; 0: there is none */
    char telling[TELLING_SIZE];
    struct answer answer;
};

/* Takes over the hold of the request. */
void exchange_begin(struct exchange *exchange, struct request *request);

/* The same for one more of the same session, of EXCHANGE_MAX at most, before anything is written.
 * False: out of memory, and it is not taken. */
bool exchange_add(struct exchange *exchange, struct request *request);

/* Those that have not left are written anew, as if nothing had been, and are not begun until then;
 * the first ones that are over are released. */
void exchange_again(struct exchange *exchange);

/* The same, and they are begun now: those of which nobody waits for the answer are released. */
void exchange_start(struct exchange *exchange);

static inline bool exchange_has_several(const struct exchange *exchange)
{
    return exchange->count > 1;
}

enum exchange_progress {
    EXCHANGE_WRITTEN, /* to its end */
    EXCHANGE_BLOCKED, /* there is no room for now */
    EXCHANGE_CLOSED,  /* there is no reader any more */
};

/* Writes the next part of the requests and their ends, which are a newline at least, to a
 * descriptor that does not block. */
enum exchange_progress exchange_write(struct exchange *exchange, int fd, const char *end,
                                      size_t end_size);

/* When a request is late: a moment after its deadline, by a clock that has stood still for so long
 * (instance.h). CLOCK_NEVER: it has no deadline. */
int64_t exchange_late_ms(int64_t deadline_ms, int64_t paused_ms);

/* Whether the requests and ends of that size are written. */
bool exchange_is_written(const struct exchange *exchange, size_t end_size);

/* Whether nothing of the first request has been read, if so many bytes are unread. */
bool exchange_is_unread(const struct exchange *exchange, size_t end_size, size_t unread);

/* The same for each that has not left: those are begun no more. */
void exchange_defer_unread(const struct exchange *exchange, size_t end_size, size_t unread);

/* Replies to the only request, or answers all with "-ERR CODE TEXT", unless they are answered or
 * over: a second answer would only be logged as dropped. */
void exchange_reply(struct exchange *exchange, const char *reply, size_t size);
void exchange_refuse(struct exchange *exchange, const char *code, const char *text);

/* The error that comes next is the session's last answer. */
void exchange_end_session(struct exchange *exchange);

/* The first ones get the whole replies that are there, and leave, but for the last one. */
void exchange_reply_each(struct exchange *exchange, const struct reply_rules *rules);

/* The first one is answered so, and leaves unless it is the only one. */
void exchange_refuse_first(struct exchange *exchange, const char *code, const char *text);

/* Gives the first request back, with its hold, as if it had never been taken; it has left. */
struct request *exchange_return(struct exchange *exchange);

/* Releases the requests, if there are any, and forgets the answer. */
void exchange_end(struct exchange *exchange);

/* Gives the memory back; there is no request. */
void exchange_fini(struct exchange *exchange);

#endif
