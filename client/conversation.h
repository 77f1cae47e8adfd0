/*
 * conversation: a connection to the server, the requests sent over it and the replies that the
 * server owes.
 *
 * A pull interface around poll(2): the caller polls for what conversation_poll() asks, passes the
 * result to conversation_step(), and takes events until there is none. Nothing blocks but the
 * opening, nothing is printed, and it makes no difference here who asks: a person, a script or an
 * argument.
 *
 * Requests are counted: replies come in order, so a reply has the number of its request. They can
 * be kept until they are answered, so that another connection goes on with them.
 */
#ifndef BANTER_CLIENT_CONVERSATION_H
#define BANTER_CLIENT_CONVERSATION_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/tls_module.h"
#include "common/error.h"
#include "common/frame.h"

struct conversation_settings {
    const char *address;        /* as common/address.h reads it */
    struct tls_settings tls;    /* if that begins with tls: */
    enum frame_codec codec;     /* of replies, and so of requests: frame_codec_of_requests() */
    int64_t connect_timeout_ms; /* for all addresses together; 0: none */
    int64_t reply_timeout_ms;   /* how long a server that owes a reply may be silent; 0: for ever */
    /* What says quit, which the codec must carry; "": nothing. What the server sends behind it is
     * then thrown away. NULL: the protocol's word, or nothing with `half_closes`; all that comes
     * behind it is unasked. */
    const char *quit_word;
    size_t greetings;      /* so many frames the server says first; requests wait for them */
    bool is_one_by_one;    /* no request before the one in front of it is answered */
    bool half_closes;      /* our half at conversation_quit(), not behind the last reply */
    bool keeps_unanswered; /* requests, for conversation_resume() */
};

enum conversation_opening {
    CONVERSATION_OPEN,
    CONVERSATION_MALFORMED_ADDRESS,
    CONVERSATION_UNKNOWN_HOST,
    CONVERSATION_UNREACHABLE,
    CONVERSATION_IMPOSSIBLE, /* it is there, but waiting would not help */
    CONVERSATION_UNTRUSTED,  /* the server by us, or we by it */
    CONVERSATION_UNUSABLE,   /* a file of the settings for TLS */
};

struct conversation;

/* Resolves, connects, shakes hands if there is TLS; may block for as long as connect_timeout_ms.
 * NULL on failure, with the kind of it in `opening` and the reason in `error`. conversation_close()
 * takes NULL. */
struct conversation *conversation_open(const struct conversation_settings *settings,
                                       enum conversation_opening *opening, struct error *error);
void conversation_close(struct conversation *conversation);

/* The address that answered, as text; good until the close. */
const char *conversation_address(const struct conversation *conversation);

/* Whom the server's certificate is for, escaped; NULL without TLS. */
const char *conversation_identity(const struct conversation *conversation);

/* As the settings say. */
enum frame_codec conversation_codec(const struct conversation *conversation);
bool conversation_half_closes(const struct conversation *conversation);

/* Whether another request is welcome: unsent bytes are under a cap, and so are kept ones, nothing
 * is owed that must be answered first, no greeting is awaited, no send has failed, the end has not
 * come and does not seem to, and quit was not said. */
bool conversation_takes_requests(const struct conversation *conversation);

enum conversation_asked {
    CONVERSATION_ASKED,
    CONVERSATION_REFUSED,   /* the codec can't carry it; it, or its rest, is not sent */
    CONVERSATION_NO_MEMORY, /* the same, since memory is out */
};

/* Queues a copy of a request. Legal only while conversation_takes_requests(). If it is not queued,
 * `why` is half a sentence about the message, a static text. */
enum conversation_asked conversation_ask(struct conversation *conversation, const char *message,
                                         size_t size, const char **why);

/* Queues `count` requests at once, if those are in FRAME_LINE: lines as frame_next_lines() finds
 * them, none of which is the word for quit. False, with nothing queued, if memory is out. */
bool conversation_ask_lines(struct conversation *conversation, const char *lines, size_t size,
                            size_t count);

/* Queues a copy of a piece of a request that is too long to be held, if requests are lines. Further
 * pieces follow, the last of them by conversation_ask(). It counts as a request from its first
 * piece on, which must be certain not to become the word for quit; no piece may end in a CR. If the
 * rest never comes, the server answers the request as incomplete. False if memory is out. */
bool conversation_begin(struct conversation *conversation, const char *message, size_t size);

/* No more requests will come. Behind the last owed reply, or at once if the settings say so, the
 * word for quit is sent and our half of the connection ended: many servers take the end of a
 * client's half for its death. From then on the server has a second to end its half, whatever else
 * it sends. May be called again. */
void conversation_quit(struct conversation *conversation);

/* What to poll(2) for. With `want_reply` false nothing is read and no time-out runs, unless the end
 * of the stream is all that is awaited. */
void conversation_poll(struct conversation *conversation, bool want_reply, struct pollfd *fd);

/* How many ms poll(2) may take before conversation_step() must be called anyway; -1: for ever. */
int conversation_wait_ms(const struct conversation *conversation);

/* Reads once, then writes once, as `revents` allows. */
void conversation_step(struct conversation *conversation, short revents);

enum conversation_event {
    CONVERSATION_NOTHING, /* for now */
    CONVERSATION_REPLY,
    CONVERSATION_UNASKED,  /* a frame that answers no request */
    CONVERSATION_GREETING, /* a frame of those that the server says first */
    /* What is no whole frame: half of one at the end of the stream, or what is no netstring. The
     * end comes next. */
    CONVERSATION_FRAGMENT,
    CONVERSATION_SILENCE, /* all is sent, and for 5 s nothing has come of a reply; once, no frame */
    CONVERSATION_END,     /* everything that came was taken; all further events are this one */
};

/* The next event; also looks at the clock. `frame` is good until the next conversation_step(),
 * before which all events must be taken. */
enum conversation_event conversation_next(struct conversation *conversation, struct frame *frame);

/* Takes replies that need no look (no errors, no CR at a line's end), in FRAME_LINE, as lines
 * with their ends. Returns their number; 0: call conversation_next(). `lines` is good until
 * the next conversation_step(). */
size_t conversation_next_lines(struct conversation *conversation, const char **lines, size_t *size);

enum conversation_end {
    CONVERSATION_GOES_ON,
    CONVERSATION_CLOSED, /* nothing is owed */
    CONVERSATION_LOST, /* replies are owed, or the connection broke, or its frames are malformed */
    CONVERSATION_TIMED_OUT, /* nothing received for reply_timeout_ms while replies were owed */
    /* The server stops in order: no request without a reply was begun, or will be. */
    CONVERSATION_STOPPING,
    /* The server has refused us in place of the first reply; why() is what it said, escaped, or
     * what that means. */
    CONVERSATION_BUSY,         /* it is full */
    CONVERSATION_TLS_REQUIRED, /* it speaks TLS */
    CONVERSATION_DENIED,       /* it does not allow this client */
    CONVERSATION_NO_GREETING,  /* the frames that it says first have not come */
    CONVERSATION_OUT_OF_MEMORY,
};

/* After CONVERSATION_END: how it ended; and why, half a sentence ("" for CONVERSATION_CLOSED). */
enum conversation_end conversation_ended(const struct conversation *conversation);
const char *conversation_why(const struct conversation *conversation);

/* Whether nothing is printed for a reply: the null operation of FRAME_RAW, no line of FRAME_BLOCK.
 */
bool conversation_is_silent(const struct conversation *conversation, const struct frame *reply);

/* The bytes of the reply that came last, as they are on the wire. Good as long as the reply is. */
const char *conversation_wire(const struct conversation *conversation, size_t *size);

/* ---- going on over another connection ---- */

/* Whether another connection is of use: the unanswered requests are kept, all of them, and what the
 * server has sent was no nonsense, which it would repeat. */
bool conversation_can_resume(const struct conversation *conversation);

/* After the end: closes the connection, for which the server may wait; all else stays. */
void conversation_hang_up(struct conversation *conversation);

/* `conversation`, which is new, goes on in the place of `former`, which can be resumed and is good
 * for nothing but its close any more: it sends again what is unanswered, has the same numbers, and
 * says quit if that was to be said. */
void conversation_resume(struct conversation *conversation, struct conversation *former);

/* Whether anything was sent, or tried to be sent, over the present connection. */
bool conversation_has_sent(const struct conversation *conversation);

/* Visits the unanswered requests in their order, after the end of a conversation that can be
 * resumed. The message is good within the call. */
void conversation_each_unanswered(struct conversation *conversation,
                                  void (*visit)(void *context, const char *message, size_t size),
                                  void *context);

/* ---- numbers ---- */

/* Requests queued and replies taken so far; the difference is owed. */
uint64_t conversation_requests(const struct conversation *conversation);
uint64_t conversation_replies(const struct conversation *conversation);
uint64_t conversation_owed(const struct conversation *conversation);

#endif
