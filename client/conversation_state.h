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
#include "client/transport.h"
#include "common/address.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/frame.h"

#define NOT_YET UINT64_MAX

/* Where some requests end: at their last one's answer the bytes before it may go. */
struct conversation_mark {
    uint64_t requests;
    uint64_t bytes; /* in queued_bytes */
};

struct conversation {
    struct transport transport;
    struct frame_rules rules; /* of replies */
    enum frame_codec request_codec;
    struct frame_decoder decoder;
    struct buffer incoming;
    struct buffer plain; /* a block without its stuffing */
    const char *wire;    /* the last frame, in `incoming` */
    size_t wire_size;
    /* The requests from about the first unanswered one on, sent or not; what is not kept, only
     * until it is sent. It ends at queued_bytes. */
    struct buffer outgoing;
    int64_t reply_timeout_ms;
    const char *quit_word; /* "": none */
    bool discards;         /* what comes behind the word for quit */
    bool half_closes;      /* with the input, not behind the last reply */
    bool is_one_by_one;    /* a request is sent when the one before is answered */

    uint64_t requests;
    uint64_t replies;
    uint64_t queued_bytes; /* in all, sent or not */
    uint64_t sent_bytes;   /* those of them that were sent, on the last connection or before it */
    /* In queued_bytes: the end of the first owed request; NOT_YET: its last piece is not queued. */
    uint64_t first_owed_end;
    int64_t heard_ms;        /* since when the server is silent, for the reply time-out */
    int64_t linger_end_ms;   /* for the end of the stream; 0: more than that is awaited */
    int64_t greeting_end_ms; /* for frames that the server says first; 0: for ever */
    size_t greetings;        /* so many of them are awaited */
    size_t early_bytes;      /* at the head of `incoming`: they were there before we sent any */
    size_t held_bytes;       /* at the head of `incoming`: a frame that may be the last one, or 0 */
    int64_t held_end_ms;     /* when it is taken for an ordinary one */
    int64_t mute_since_ms;   /* all is sent and nothing has come of a reply; 0: that is not so */

    size_t window;             /* how many bytes are kept; with more, no request is taken */
    uint64_t round_end;        /* its last request: then all that was under way is answered */
    uint64_t replies_before;   /* of what was received last */
    struct buffer marks;       /* of struct conversation_mark */
    uint64_t mark_begin;       /* in queued_bytes: the first byte that the last mark is about */
    uint64_t head_requests;    /* how many requests begin before `outgoing` */
    uint64_t forgotten;        /* so many requests, from the first one on, were not kept */
    uint64_t connection_begin; /* in queued_bytes: the first byte for this connection */
    size_t quit_bytes;         /* of the word for quit, at the end of `outgoing` */

    bool keeps;      /* requests, until they are answered */
    bool was_silent; /* the server, while the window was full */
    bool is_silent_round;
    bool drops_rest;   /* of the last request, which was answered before its last piece */
    bool is_begun;     /* the last piece of the last request is not queued yet */
    bool is_paused;    /* nothing is read for now */
    bool quitting;     /* no more requests will come */
    bool quit_queued;  /* our half ends behind what is queued */
    bool ignores_word; /* for quit: the server has not ended, though it had time to */
    bool half_closed;
    bool has_heard;    /* a byte from the server */
    bool has_spoken;   /* the server: a whole frame */
    bool had_fragment; /* CONVERSATION_FRAGMENT was given */
    bool told_silence;
    bool stream_ended;      /* nothing more will be received */
    bool is_malformed;      /* what was received */
    unsigned silent_rounds; /* in a row */
    int send_errno;         /* why sending failed, or 0 */
    int receive_errno;
    const char *cut_why; /* a stream through TLS that was not ended by the server; or NULL */
    bool is_refused;     /* and which is its refusal of us: it has done nothing */

    enum conversation_end end;
    struct error why;
    char address[ADDRESS_NAMED_SIZE];
    char name[ADDRESS_NAMED_SIZE]; /* of the server: its address with the host as it was given */
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

/* The stream has ended behind a frame with which the server refuses us, or stops. */
void conversation_finish_refused(struct conversation *conversation, const struct frame *frame);

/* ---- conversation_replies ---- */

/* Whether all that came is a frame that counts only when it is known whether more follows. */
bool conversation_is_holding(const struct conversation *conversation);

/* ---- conversation_requests ---- */

/* Queues the word for quit, if it is to be sent and its time has come. */
void conversation_queue_quit(struct conversation *conversation);

/* Whether everything was asked and answered, so that the end of the stream alone is awaited. */
bool conversation_is_over(const struct conversation *conversation);

/* ---- conversation_unanswered ---- */

/* Notes where the requests end that are queued so far. */
void conversation_mark(struct conversation *conversation);

/* Lets go of what was sent and need not be kept. */
void conversation_drop_answered(struct conversation *conversation);

/* Requests are kept from now on, when none was asked. */
void conversation_keep(struct conversation *conversation);

/* Something was received now. */
void conversation_look_at_window(struct conversation *conversation, int64_t now_ms);

/* Whether there is room to keep one more request, or another piece of one. */
bool conversation_can_keep(const struct conversation *conversation);

/* How many bytes wait to be sent, and the first of them. */
static inline size_t conversation_unsent(const struct conversation *conversation)
{
    return (size_t) (conversation->queued_bytes - conversation->sent_bytes);
}
static inline const char *conversation_unsent_head(const struct conversation *conversation)
{
    return buffer_tail(&conversation->outgoing) - conversation_unsent(conversation);
}

/* ---- conversation_traffic ---- */

/* Ends a wait that took too long, or begins to wait for the end of the stream alone. */
void conversation_look_at_clock(struct conversation *conversation);

/* Whether it is time for CONVERSATION_SILENCE; once. */
bool conversation_silence_is_due(struct conversation *conversation);

#endif
