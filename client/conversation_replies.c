/*
 * conversation_replies: the frames in what was received: which are replies, which came unasked.
 */
#include <string.h>

#include "client/conversation_state.h"
#include "common/clock.h"
#include "common/protocol.h"

#define HELD_MS 1000 /* a frame that the end of the stream may follow */

/* ---- frames ---- */

/* What behind it is the server's next word. */
static void drop(struct conversation *conversation, size_t size)
{
    buffer_consume(&conversation->incoming, size); /* it stays in place until more is read */
    conversation->early_bytes -=
        size < conversation->early_bytes ? size : conversation->early_bytes;
}

static enum conversation_event give(struct conversation *conversation, const struct frame *frame)
{
    bool is_early = conversation->early_bytes > 0;
    drop(conversation, frame->consumed);
    conversation->held_bytes = 0;
    conversation->has_spoken = true;
    if (conversation->greetings > 0) {
        conversation->greetings--;
        return CONVERSATION_GREETING;
    }
    if (is_early || conversation_owed(conversation) == 0)
        return CONVERSATION_UNASKED;
    conversation->replies++;
    return CONVERSATION_REPLY;
}

/* A frame has come: keeps where it is, and makes its message what it is without the wire's own. */
static bool unwrap(struct conversation *conversation, struct frame *frame)
{
    struct buffer *plain = &conversation->plain;
    conversation->wire = buffer_head(&conversation->incoming);
    conversation->wire_size = frame->consumed;
    if (!frame->is_stuffed)
        return true;
    buffer_clear(plain);
    if (!frame_unstuff(plain, frame->message, frame->size)) {
        conversation_finish(conversation, CONVERSATION_OUT_OF_MEMORY, "out of memory");
        return false;
    }
    frame->message = buffer_head(plain);
    frame->size = buffer_size(plain);
    return true;
}

/* ---- the last frame of a server that refuses, or stops ---- */

/* Whether nothing but the end of the stream should follow a frame. The codes mean that in place of
 * the first reply, that of a stop always; other servers give them to replies. */
static bool is_last_word(const struct conversation *conversation, const struct frame *frame)
{
    return protocol_is_unasked(frame->message, frame->size) &&
           (!conversation->has_spoken ||
            protocol_is_error_code(frame->message, frame->size, PROTOCOL_STOPPING));
}

bool conversation_is_holding(const struct conversation *conversation)
{
    return conversation->held_bytes > 0 &&
           conversation->held_bytes == buffer_size(&conversation->incoming) &&
           !conversation->stream_ended;
}

static bool hold(struct conversation *conversation, const struct frame *frame)
{
    if (conversation->held_bytes > 0 || conversation->stream_ended)
        return false;
    conversation->held_bytes = frame->consumed;
    conversation->held_end_ms = clock_ms() + HELD_MS;
    return true;
}

/* A message that is whole. What may be a last word is not given before more has come, or the end,
 * or neither for too long: a server that says more than that waits for our next request. */
static enum conversation_event take_message(struct conversation *conversation, struct frame *frame)
{
    if (!unwrap(conversation, frame))
        return CONVERSATION_END;
    if (frame->consumed == buffer_size(&conversation->incoming) &&
        is_last_word(conversation, frame)) {
        if (hold(conversation, frame))
            return CONVERSATION_NOTHING;
        /* If it was cut, this may be a reply like any other. */
        if (conversation->stream_ended && !conversation->cut_why) {
            conversation_finish_refused(conversation, frame);
            return CONVERSATION_END;
        }
    }
    return give(conversation, frame);
}

/* ---- what is no frame ---- */

/* The one word that is a line in every codec. */
static bool is_tls_required(const struct conversation *conversation, struct frame *rest)
{
    size_t size = rest->size;
    while (size > 0 && (rest->message[size - 1] == '\n' || rest->message[size - 1] == '\r'))
        size--;
    if (conversation->has_spoken ||
        !protocol_is_error_code(rest->message, size, PROTOCOL_TLS_REQUIRED))
        return false;
    rest->size = size;
    return true;
}

/* Half a frame at the end of the stream, or what is no netstring: once. */
static bool take_fragment(struct conversation *conversation, struct frame *frame)
{
    struct buffer *incoming = &conversation->incoming;
    *frame = (struct frame){.message = buffer_head(incoming), .size = buffer_size(incoming)};
    if (frame->size == 0 || conversation->had_fragment)
        return false;
    conversation->had_fragment = true;
    drop(conversation, frame->size);
    if (is_tls_required(conversation, frame))
        conversation_finish_refused(conversation, frame);
    return true;
}

static enum conversation_event take_bad_frame(struct conversation *conversation,
                                              enum frame_outcome outcome, struct frame *frame)
{
    conversation->is_malformed = true;
    if (conversation->rules.codec == FRAME_NETSTRING && take_fragment(conversation, frame))
        return conversation->end ? CONVERSATION_END : CONVERSATION_FRAGMENT;
    conversation_finish(conversation, CONVERSATION_LOST,
                        outcome == FRAME_BAD ? "what the server sent is no netstring"
                                             : "the server sent a reply of more than 16 MiB");
    return CONVERSATION_END;
}

static enum conversation_event take_end(struct conversation *conversation, struct frame *frame)
{
    bool is_cut = take_fragment(conversation, frame);
    conversation->decoder = (struct frame_decoder){0};
    if (!is_cut)
        conversation_finish_stream(conversation);
    return conversation->end ? CONVERSATION_END : CONVERSATION_FRAGMENT;
}

/* ---- all together ---- */

static void discard(struct conversation *conversation)
{
    buffer_clear(&conversation->incoming);
    conversation->decoder = (struct frame_decoder){0};
    conversation->held_bytes = 0;
}

static enum conversation_event wait_for_more(struct conversation *conversation)
{
    conversation_look_at_clock(conversation);
    if (conversation->end)
        return CONVERSATION_END;
    return conversation_silence_is_due(conversation) ? CONVERSATION_SILENCE : CONVERSATION_NOTHING;
}

static enum frame_outcome decode(struct conversation *conversation, struct frame *frame)
{
    const struct buffer *incoming = &conversation->incoming;
    /* What was held is whole; in raw what came behind it is another message. */
    size_t size = conversation->held_bytes ? conversation->held_bytes : buffer_size(incoming);
    return frame_next(&conversation->rules, &conversation->decoder, buffer_head(incoming), size,
                      frame);
}

enum conversation_event conversation_next(struct conversation *conversation, struct frame *frame)
{
    if (conversation->end)
        return CONVERSATION_END;
    if (conversation->discards && conversation_is_over(conversation))
        discard(conversation);
    if (conversation_is_holding(conversation) &&
        (conversation->is_paused || clock_ms() < conversation->held_end_ms)) {
        conversation_drop_answered(conversation);
        return wait_for_more(conversation);
    }
    enum frame_outcome outcome = decode(conversation, frame);
    if (outcome == FRAME_MESSAGE)
        return take_message(conversation, frame);
    if (outcome != FRAME_MORE)
        return take_bad_frame(conversation, outcome, frame);
    drop(conversation, frame->consumed);
    conversation_drop_answered(conversation);
    return conversation->stream_ended ? take_end(conversation, frame) : wait_for_more(conversation);
}

size_t conversation_next_lines(struct conversation *conversation, const char **lines, size_t *size)
{
    /* Error replies and unasked frames begin like this. */
    static const char special[] = {PROTOCOL_ERROR[0], '\0'};
    struct buffer *incoming = &conversation->incoming;
    size_t count = 0;
    *lines = buffer_head(incoming);
    if (conversation->end || conversation->early_bytes > 0 || conversation->greetings > 0)
        return 0;
    *size =
        frame_next_lines(&conversation->rules, &conversation->decoder, *lines,
                         buffer_size(incoming), special, conversation_owed(conversation), &count);
    buffer_consume(incoming, *size);
    conversation->replies += count;
    conversation->has_spoken |= count > 0;
    return count;
}

bool conversation_is_silent(const struct conversation *conversation, const struct frame *reply)
{
    if (conversation->rules.codec == FRAME_BLOCK)
        return reply->size == 0;
    return conversation->rules.codec == FRAME_RAW &&
           reply->size == strlen(PROTOCOL_NULL_OPERATION) &&
           memcmp(reply->message, PROTOCOL_NULL_OPERATION, reply->size) == 0;
}

const char *conversation_wire(const struct conversation *conversation, size_t *size)
{
    *size = conversation->wire_size;
    return conversation->wire;
}

uint64_t conversation_replies(const struct conversation *conversation)
{
    return conversation->replies;
}
