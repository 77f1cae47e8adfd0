/*
 * conversation_replies: the frames in what was received: which are replies, which came unasked.
 */
#include <string.h>

#include "client/conversation_state.h"
#include "common/protocol.h"

static enum conversation_event give(struct conversation *conversation, const struct frame *frame)
{
    bool is_unasked = protocol_is_unasked(frame->message, frame->size);
    if (is_unasked) {
        conversation->announced = true;
        conversation->busy |= protocol_is_error_code(frame->message, frame->size, PROTOCOL_BUSY);
        conversation->stopping |=
            protocol_is_error_code(frame->message, frame->size, PROTOCOL_STOPPING);
    }
    if (is_unasked || conversation_owed(conversation) == 0)
        return CONVERSATION_UNASKED;
    conversation->replies++;
    return CONVERSATION_REPLY;
}

static void finish_frame(struct conversation *conversation, enum frame_outcome outcome)
{
    conversation->is_malformed = true;
    if (outcome == FRAME_BAD)
        conversation_finish(conversation, CONVERSATION_LOST,
                            "what the server sent is no netstring");
    else
        conversation_finish(conversation, CONVERSATION_LOST,
                            "the server sent a reply of more than 16 MiB");
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

enum conversation_event conversation_next(struct conversation *conversation, struct frame *frame)
{
    struct buffer *incoming = &conversation->incoming;
    if (conversation->end)
        return CONVERSATION_END;
    if (conversation->discards && conversation_is_over(conversation)) {
        buffer_clear(incoming);
        conversation->decoder = (struct frame_decoder){0};
    }
    enum frame_outcome outcome = frame_next(&conversation->rules, &conversation->decoder,
                                            buffer_head(incoming), buffer_size(incoming), frame);
    if (outcome != FRAME_MORE && outcome != FRAME_MESSAGE) {
        finish_frame(conversation, outcome);
        return CONVERSATION_END;
    }
    if (outcome == FRAME_MESSAGE && !unwrap(conversation, frame))
        return CONVERSATION_END;
    /* Consumed bytes stay in place until more are read. */
    buffer_consume(incoming, frame->consumed);
    if (outcome == FRAME_MESSAGE)
        return give(conversation, frame);
    conversation_drop_answered(conversation);
    if (conversation->stream_ended)
        conversation_finish_stream(conversation);
    else
        conversation_look_at_clock(conversation);
    if (conversation->end)
        return CONVERSATION_END;
    return conversation_silence_is_due(conversation) ? CONVERSATION_SILENCE : CONVERSATION_NOTHING;
}

size_t conversation_next_lines(struct conversation *conversation, const char **lines, size_t *size)
{
    /* Error replies and unasked frames begin like this. */
    static const char special[] = {PROTOCOL_ERROR[0], '\0'};
    struct buffer *incoming = &conversation->incoming;
    size_t count = 0;
    *lines = buffer_head(incoming);
    if (conversation->end)
        return 0;
    *size =
        frame_next_lines(&conversation->rules, &conversation->decoder, *lines,
                         buffer_size(incoming), special, conversation_owed(conversation), &count);
    buffer_consume(incoming, *size);
    conversation->replies += count;
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

bool conversation_was_announced(const struct conversation *conversation)
{
    return conversation->announced;
}
