/*
 * conversation_state: what the files conversation*.c share. Everyone else includes
 * client/conversation.h.
 */
#ifndef BANTER_CLIENT_CONVERSATION_STATE_H
#define BANTER_CLIENT_CONVERSATION_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/conversation.h"
#include "common/address.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/frame.h"

#define NOT_YET UINT64_MAX

struct conversation {
    int socket;
    struct frame_rules rules; /* of replies */
    enum frame_codec request_codec;
    struct frame_decoder decoder;
    struct buffer incoming;
    struct buffer plain; /* a block without its stuffing */
    const char *wire;    /* the last frame, in `incoming` */
    size_t wire_size;
    struct buffer outgoing;
    int64_t reply_timeout_ms;

    uint64_t requests;
    uint64_t replies;
    uint64_t queued_bytes; /* in all, sent or not */
    uint64_t sent_bytes;
    /* In queued_bytes: the end of the first owed request; NOT_YET: its last piece is not queued. */
    uint64_t first_owed_end;
    int64_t heard_ms;      /* since when the server is silent, for the reply time-out */
    int64_t linger_end_ms; /* for the end of the stream; 0: more than that is awaited */

    bool is_begun;    /* the last piece of the last request is not queued yet */
    bool is_paused;   /* nothing is read for now */
    bool quitting;    /* no more requests will come */
    bool quit_queued; /* our half ends behind what is queued */
    bool half_closed;
    bool stream_ended; /* nothing more will be received */
    bool announced;
    bool busy;
    int send_errno; /* why sending failed, or 0 */
    int receive_errno;

    enum conversation_end end;
    struct error why;
    char address[ADDRESS_TEXT_SIZE];
};

/* ---- conversation_open ---- */

/* Makes one, all zero so far, of a socket that is connected and does not block, and which is the
 * conversation's from now on. Its address stays empty. */
void conversation_init(struct conversation *conversation, int socket,
                       const struct conversation_settings *settings);

/* ---- conversation_end ---- */

/* Nothing more is read, sent or waited for. `why` is half a sentence. */
void conversation_finish(struct conversation *conversation, enum conversation_end end,
                         const char *why);

/* The stream has ended and everything in it was taken: judges the end. */
void conversation_finish_stream(struct conversation *conversation);

/* ---- conversation_requests ---- */

/* Queues the word for quit, if it is to be sent and its time has come. */
void conversation_queue_quit(struct conversation *conversation);

/* Whether everything was asked and answered, so that the end of the stream alone is awaited. */
bool conversation_is_over(const struct conversation *conversation);

/* ---- conversation_traffic ---- */

/* Ends a wait that took too long, or begins to wait for the end of the stream alone. */
void conversation_look_at_clock(struct conversation *conversation);

#endif
