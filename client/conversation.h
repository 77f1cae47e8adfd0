/*
 * conversation: the connection to the server, the requests sent over it and the replies that it
 * owes.
 *
 * A pull interface around poll(2): the caller polls what conversation_poll() asks for, tells the
 * result with conversation_step(), and then takes events until there is none. Nothing blocks,
 * nothing is printed, and whether a person, a script or an argument asked is not known in here.
 *
 * Requests are counted, not kept: replies come in order, so the number of a reply is that of its
 * request.
 */
#ifndef BANTER_CLIENT_CONVERSATION_H
#define BANTER_CLIENT_CONVERSATION_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/frame.h"

struct conversation_settings {
    const char *address; /* as common/address.h reads it */
    enum frame_codec codec;
    int64_t connect_timeout_ms; /* for all addresses together; 0: none */
    int64_t
        reply_timeout_ms; /* how long the server may be silent while it owes a reply; 0: for ever */
};

enum conversation_opening {
    CONVERSATION_OPEN,
    CONVERSATION_MALFORMED_ADDRESS,
    CONVERSATION_UNKNOWN_HOST,
    CONVERSATION_UNREACHABLE,
};

struct conversation;

/* Resolves and connects; may block for as long as connect_timeout_ms. NULL on failure: `opening`
 * says which, `error` why. conversation_close() takes NULL. */
struct conversation *conversation_open(const struct conversation_settings *settings,
                                       enum conversation_opening *opening, struct error *error);
void conversation_close(struct conversation *conversation);

/* The address that answered, as text; good until the close. */
const char *conversation_address(const struct conversation *conversation);

/* Whether another request is welcome: unsent bytes are under a cap, in FRAME_RAW nothing is
 * owed, no send has failed, the server has not announced the end and quit was not said. */
bool conversation_takes_requests(const struct conversation *conversation);

enum conversation_asked {
    CONVERSATION_ASKED,
    CONVERSATION_REFUSED,   /* the codec can't carry it; it, or its rest, is not sent */
    CONVERSATION_NO_MEMORY, /* the same, for want of memory */
};

/* Queues a request, a copy. Legal only while conversation_takes_requests(). `why` is static,
 * half a sentence about the message. */
enum conversation_asked conversation_ask(struct conversation *conversation, const char *message,
                                         size_t size, const char **why);

/* Queues `count` requests at once, in FRAME_LINE: a block of lines as frame_next_block() finds it,
 * none of which is the word for quit. False, with nothing queued, when memory is out. */
bool conversation_ask_block(struct conversation *conversation, const char *lines, size_t size,
                            size_t count);

/* Queues the beginning of a request that is too long to be held, a copy, in FRAME_LINE: what is
 * given next, and last to conversation_ask(), is the rest of it. It counts as a request from now
 * on. It must be certain that it is not the word for quit, nor ends in a CR. If the rest never
 * comes the server answers it as incomplete. False when memory is out. */
bool conversation_begin(struct conversation *conversation, const char *message, size_t size);

/* Ends our half: behind all requests the word for quit is sent, then the sending half is closed.
 * When the last owed reply has come the server has a second to close its half. May be called
 * again. */
void conversation_quit(struct conversation *conversation);

/* What to poll for. With `want_reply` false nothing is read and no time runs out. */
void conversation_poll(struct conversation *conversation, bool want_reply, struct pollfd *fd);

/* How long poll(2) may take before conversation_step() must be called anyway; -1: for ever. */
int conversation_wait_ms(const struct conversation *conversation);

/* Reads once, then writes once, as `revents` allows; looks at the clock. */
void conversation_step(struct conversation *conversation, short revents);

enum conversation_event {
    CONVERSATION_NOTHING, /* for now */
    CONVERSATION_REPLY,
    CONVERSATION_UNASKED, /* a frame that no request is waiting for */
    CONVERSATION_END,     /* everything that came was given; it stays at this */
};

/* The next thing that came. `frame` is good until the next conversation_step(). All events must
 * be taken before it. */
enum conversation_event conversation_next(struct conversation *conversation, struct frame *frame);

/* Takes replies that came and are nothing special (no errors, no line end to be seen to), in
 * FRAME_LINE, as a block of lines with their ends. How many; 0: see what conversation_next() has to
 * give. `lines` is good until the next conversation_step(). */
size_t conversation_next_block(struct conversation *conversation, const char **lines, size_t *size);

enum conversation_end {
    CONVERSATION_GOES_ON,
    CONVERSATION_CLOSED, /* nothing is owed */
    CONVERSATION_LOST,   /* replies are owed, or the connection broke, or what came can't be read */
    CONVERSATION_TIMED_OUT, /* nothing received for reply_timeout_ms while replies were owed */
    CONVERSATION_BUSY,      /* the server took nobody more */
    CONVERSATION_OUT_OF_MEMORY,
};

/* How it ended, after CONVERSATION_END; and why, as half a sentence ("" for
 * CONVERSATION_CLOSED). */
enum conversation_end conversation_ended(const struct conversation *conversation);
const char *conversation_why(const struct conversation *conversation);

/* Whether the server announced the end: after an unasked frame of the protocol no request is
 * read. */
bool conversation_was_announced(const struct conversation *conversation);

/* Whether a reply is one that says nothing, for which nothing is printed. */
bool conversation_is_null_operation(const struct conversation *conversation,
                                    const struct frame *reply);

/* Requests taken and replies given so far; the difference is what is owed. */
uint64_t conversation_requests(const struct conversation *conversation);
uint64_t conversation_replies(const struct conversation *conversation);
uint64_t conversation_owed(const struct conversation *conversation);

#endif
