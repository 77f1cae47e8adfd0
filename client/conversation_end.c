/*
 * conversation_end: how a conversation ends, and why. Only the reading side ends one.
 */
#include <errno.h>
#include <string.h>

#include "client/conversation_state.h"
#include "common/escape.h"
#include "common/protocol.h"

void conversation_finish(struct conversation *conversation, enum conversation_end end,
                         const char *why)
{
    conversation->end = end;
    error_set(&conversation->why, "%s", why);
}

void conversation_finish_stream(struct conversation *conversation)
{
    bool is_owed = conversation_owed(conversation) > 0;
    /* EPIPE says no more than the end of the stream. */
    int broken_by = conversation->send_errno && conversation->send_errno != EPIPE
                        ? conversation->send_errno
                        : conversation->receive_errno;
    bool is_over = conversation_is_over(conversation); /* whatever came behind the last reply */
    if (conversation->cut_why)
        conversation_finish(conversation,
                            conversation->is_refused ? CONVERSATION_DENIED : CONVERSATION_LOST,
                            conversation->cut_why);
    else if (conversation->had_fragment && !is_over)
        conversation_finish(conversation, CONVERSATION_LOST,
                            "the server closed it in the middle of a reply");
    else if (broken_by && (is_owed || !conversation->quitting))
        conversation_finish(conversation, CONVERSATION_LOST, strerror(broken_by));
    else if (conversation->greetings > 0 && !is_over)
        conversation_finish(conversation, CONVERSATION_NO_GREETING,
                            "the server closed it before its greeting");
    else if (is_owed)
        conversation_finish(conversation, CONVERSATION_LOST, "the server closed it");
    else
        conversation_finish(conversation, CONVERSATION_CLOSED, "");
}

void conversation_finish_refused(struct conversation *conversation, const struct frame *frame)
{
    char text[ESCAPE_SIZE];
    enum conversation_end end = CONVERSATION_BUSY;
    switch (protocol_error_code(frame->message, frame->size)) {
    case PROTOCOL_CODE_STOPPING:
        if (conversation->quitting && conversation_owed(conversation) == 0)
            conversation_finish(conversation, CONVERSATION_CLOSED, "");
        else
            conversation_finish(conversation, CONVERSATION_STOPPING, "the server is stopping");
        return;
    case PROTOCOL_CODE_DENIED:
        end = CONVERSATION_DENIED;
        break;
    case PROTOCOL_CODE_TLS_REQUIRED:
        conversation_finish(conversation, CONVERSATION_TLS_REQUIRED, "");
        error_set(&conversation->why, "speaks TLS: ask tls:%s", conversation->name);
        return;
    default:
        break;
    }
    conversation_finish(conversation, end, escape_text(frame->message, frame->size, text));
}

enum conversation_end conversation_ended(const struct conversation *conversation)
{
    return conversation->end;
}

const char *conversation_why(const struct conversation *conversation)
{
    return conversation->why.text;
}
