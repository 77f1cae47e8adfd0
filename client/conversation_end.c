/*
 * conversation_end: how a conversation ends, and why. Only the reading side ends one.
 */
#include <errno.h>
#include <string.h>

#include "client/conversation_state.h"

void conversation_finish(struct conversation *conversation, enum conversation_end end,
                         const char *why)
{
    conversation->end = end;
    error_set(&conversation->why, "%s", why);
}

void conversation_finish_stream(struct conversation *conversation)
{
    struct frame frame;
    size_t rest = buffer_size(&conversation->incoming);
    bool is_cut =
        conversation->stream_ended &&
        frame_end(&conversation->rules, &conversation->decoder, rest, &frame) != FRAME_END;
    bool is_owed = conversation_owed(conversation) > 0;
    /* EPIPE says no more than the end of the stream. */
    int broken_by = conversation->send_errno && conversation->send_errno != EPIPE
                        ? conversation->send_errno
                        : conversation->receive_errno;
    if (conversation->busy)
        conversation_finish(conversation, CONVERSATION_BUSY, "the server is busy");
    else if (conversation->stopping)
        conversation_finish(conversation, CONVERSATION_STOPPING, "the server is stopping");
    else if (is_cut)
        conversation_finish(conversation, CONVERSATION_LOST,
                            "the server closed it in the middle of a reply");
    else if (broken_by && (is_owed || !conversation->quitting))
        conversation_finish(conversation, CONVERSATION_LOST, strerror(broken_by));
    else if (is_owed)
        conversation_finish(conversation, CONVERSATION_LOST, "the server closed it");
    else
        conversation_finish(conversation, CONVERSATION_CLOSED, "");
}

enum conversation_end conversation_ended(const struct conversation *conversation)
{
    return conversation->end;
}

const char *conversation_why(const struct conversation *conversation)
{
    return conversation->why.text;
}
