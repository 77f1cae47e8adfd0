/*
 * plugin_call: the reply that a plugin sees is a few words on the caller's stack. Its bytes go
 * straight into the request's buffer, so that this layer costs neither memory nor a copy.
 */
#include "server/handlers/plugin_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/protocol.h"
#include "server/net/peer.h"
#include "server/request.h"

struct banter_reply {
    struct request *request;
    size_t size;           /* bytes added so far */
    size_t room;           /* bytes that may be written after them */
    bool described;        /* `peer` is there */
    const char *failure;   /* why the reply can't be sent, a static string; NULL: it can */
    struct peer_text peer; /* who asks; not set before somebody wants to know */
};

/* Not a failure but as final: the request is answered, and its buffer must not be touched. */
static const char refused[] = "refused";

void plugin_call(const struct banter_handler *functions, void *state, struct request *request)
{
    struct banter_reply reply; /* not zeroed: most of it is not used */
    reply.request = request;
    reply.size = reply.room = 0;
    reply.described = false;
    reply.failure = NULL;
    functions->handle(state, request_message(request), request_size(request), &reply);
    if (!reply.failure)
        request_reply_and_return(request);
    else if (reply.failure != refused)
        request_refuse(request, PROTOCOL_HANDLER_FAILED, "%s", reply.failure);
}

char *banter_reply_room(struct banter_reply *reply, size_t size)
{
    if (reply->failure)
        return NULL;
    if (size > PROTOCOL_MAX_REPLY - reply->size) {
        reply->failure = "the handler's reply is too long";
        return NULL;
    }
    char *room = request_room(reply->request, size ? size : 1); /* NULL would be a failure */
    if (room)
        reply->room = size;
    else
        reply->failure = "out of memory";
    return room;
}

void banter_reply_added(struct banter_reply *reply, size_t size)
{
    if (reply->failure)
        return;
    if (size > reply->room) {
        reply->failure = "the handler has added more than it asked room for";
        return;
    }
    request_added(reply->request, size);
    reply->size += size;
    reply->room -= size;
}

bool banter_reply_append(struct banter_reply *reply, const void *data, size_t size)
{
    char *room = banter_reply_room(reply, size);
    if (!room)
        return false;
    if (size > 0) /* memcpy() takes no NULL, not even with size 0 */
        memcpy(room, data, size);
    banter_reply_added(reply, size);
    return true;
}

bool banter_reply_printf(struct banter_reply *reply, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    char *room = size < 0 ? NULL : banter_reply_room(reply, (size_t) size + 1); /* and the NUL */
    if (room) {
        vsnprintf(room, (size_t) size + 1, format, again);
        banter_reply_added(reply, (size_t) size);
    } else if (!reply->failure) {
        reply->failure = "the handler's text could not be formatted";
    }
    va_end(again);
    va_end(arguments);
    return room != NULL;
}

/* A code ends at the first space; nothing else in it is changed on its way to the client. */
static bool is_word(const char *code)
{
    for (const char *byte = code; *byte; byte++)
        if (*byte <= ' ' || *byte > '~')
            return false;
    return *code;
}

void banter_reply_refuse(struct banter_reply *reply, const char *code, const char *format, ...)
{
    if (reply->failure)
        return;
    if (!is_word(code)) {
        reply->failure = "the handler has refused with a code that is no word";
        return;
    }
    char text[1001];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    reply->failure = refused;
    request_refuse(reply->request, code, "%s", text);
}

bool banter_reply_wanted(const struct banter_reply *reply)
{
    return !request_is_over(reply->request);
}

static const struct peer_text *peer_of(struct banter_reply *reply)
{
    if (!reply->described)
        request_describe_peer(reply->request, &reply->peer);
    reply->described = true;
    return &reply->peer;
}

const char *banter_reply_address(struct banter_reply *reply) { return peer_of(reply)->address; }

const char *banter_reply_identity(struct banter_reply *reply) { return peer_of(reply)->identity; }

uint64_t banter_reply_session(const struct banter_reply *reply)
{
    return request_session(reply->request);
}
