/*
 * request: one request on its way through a handler, answered exactly once, now or later, from any
 * thread. This is the handler's view; server/request_owner.h has that of those who run it.
 *
 * Inside handle() the request may be used as it is. A handler that answers later takes a hold
 * before handle() returns and before another thread sees the request; each hold is released once,
 * after the answer. A request that nobody holds any more and nobody has answered gets "-ERR
 * handler-failed", so a reply can't get lost by forgetting it.
 */
#ifndef BANTER_SERVER_REQUEST_H
#define BANTER_SERVER_REQUEST_H

#include <stddef.h>
#include <stdint.h>

struct peer_text; /* server/net/peer.h */
struct request;

/* The message, without its framing; any byte may be in it, and no NUL is added. Good while the
 * request is held (a hold copies it, so ask again after taking one). */
const char *request_message(const struct request *request);
size_t request_size(const struct request *request);

/* What the kind's session_begun() has returned for the session that asks; NULL if there is no such
 * function. It is the handler's own, and good until the kind's session_ended() gets it. */
void *request_session_data(const struct request *request);

/* A number of the handler's own; 0 at first. */
size_t *request_charge(struct request *request);

/* The number of the session that asks; of a request that comes without one, its own. */
uint64_t request_session(const struct request *request);

/* Who asks: the texts are empty if nobody knows; without a session, the address says where the
 * request comes from, such as nats:upper. Good as long as the request may be used, even when
 * the session has ended. */
void request_describe_peer(const struct request *request, struct peer_text *text);

/* When the request must have been answered, in ms of CLOCK_MONOTONIC; INT64_MAX: there is no
 * time-out. It moves away while the handler lets its time stand still. */
int64_t request_deadline_ms(const struct request *request);

/* Whether an answer would come too late: the request was answered, its time is over, or its session
 * has ended. May turn true at any time. */
_Bool request_is_over(const struct request *request);

/* A request that handle() is given is begun. A handler that has others wait first says so: it is
 * not begun before request_begin() returns true. Until then a stop of the server may take it back,
 * so that the client may ask it elsewhere. By the handler's thread that has it, also of one that it
 * has begun in vain: nothing has seen it. */
void request_defer(struct request *request);

/* Begins a request that waits. False: an answer would come too late, and it must not be begun. By
 * somebody who has a hold. */
_Bool request_begin(struct request *request);

/* Keeps the request beyond handle(). Called in handle() only. False: out of memory; the request was
 * not held, and must be answered or left before handle() returns. */
_Bool request_hold(struct request *request);

/* Takes another hold, for another thread that may answer. By somebody who has one. */
void request_hold_again(struct request *request);

/* Gives one hold back; the request must not be touched by its holder after that. */
void request_release(struct request *request);

/* Answers. The first answer counts: one that comes after it (or after the request's time-out) is
 * dropped, and that is logged. `reply` may hold any byte that the codec can carry; otherwise the
 * client gets "-ERR handler-failed". The bytes are copied. */
void request_reply(struct request *request, const void *reply, size_t size);

/* Answers with "-ERR CODE TEXT"; `code` is one of common/protocol.h (or a word of the handler's
 * own), the text, printf-like, is one line. */
void request_refuse(struct request *request, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes the answer, which is still to be given, the last one: the session is closed in order behind
 * it, and what it has asked behind this request gets no answer. By somebody who has a hold. */
void request_end_session(struct request *request);

/* What the session that asks has waiting does not keep it from being read any more (struct
 * handler_session): it is looked at again. Once for a request, by somebody who has a hold. */
void request_resume_session(struct request *request);

/* For a thread that answers several requests in a row: from begin to end its answers are kept back,
 * and then they are delivered together, so that each loop is woken once. Must not take long, and
 * can't be nested. */
void request_answers_begin(void);
void request_answers_end(void);

/* Builds a reply in pieces, by one thread at a time: room for `size` bytes behind what was added so
 * far (NULL: out of memory), then how many of them were used, and in the end the answer. */
char *request_room(struct request *request, size_t size);
void request_added(struct request *request, size_t size);
void request_reply_built(struct request *request);

/* The same as request_reply_built(), at next to no cost, if
 *   - it is called in handle(),
 *   - as the last thing that handle() does with the request,
 *   - and the request was not held. */
void request_reply_and_return(struct request *request);

#endif
