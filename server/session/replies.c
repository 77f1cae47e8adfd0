/* replies: the queue of requests that wait, framing, sending. */
#include "server/session/replies.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/protocol.h"
#include "server/engine/crew.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/request_owner.h"
#include "server/session/session.h"

/* A turn's buffer that has grown beyond this is given back after the turn. */
enum { KEPT_OUTPUT_BYTES = 1 << 20 };

/* Long enough for every error text of the engine's. */
enum { ERROR_BYTES = 512 };

bool replies_pending(const struct session *session)
{
    return session->work && session->work->first;
}

bool replies_unsent(const struct session *session)
{
    return session->work && buffer_size(&session->work->output) > 0;
}

bool replies_deliverable(const struct session *session)
{
    return replies_pending(session) && session->work->first->ready && !replies_unsent(session);
}

/* ---- framing ---- */

/* Frames a reply that the codec is known to carry. */
static void put_frame(struct session *session, struct buffer *output, const char *reply,
                      size_t size)
{
    struct frame_edges edges;
    enum frame_refusal refusal = frame_encode(session_loop(session)->settings->rules.codec, reply,
                                              size, PROTOCOL_MAX_REPLY, &edges);
    log_put(session_loop(session)->log, LOG_PROCESSED, session->number, reply, size);
    if (refusal != FRAME_FITS || !frame_append(output, &edges, reply, size))
        session_break(session, "out of memory");
}

static void put_error(struct session *session, struct buffer *output, const char *code,
                      const char *text)
{
    char error[ERROR_BYTES];
    size_t size = protocol_write_error(error, sizeof error, code, text);
    put_frame(session, output, error, size);
}

static void put_handler_failed(struct session *session, struct buffer *output, const char *why)
{
    char text[200];
    snprintf(text, sizeof text, "the handler's reply can't be sent: %s", why);
    log_put(session_loop(session)->log, LOG_HANDLER_FAILED, session->number, text, strlen(text));
    put_error(session, output, PROTOCOL_HANDLER_FAILED, text);
}

/* Frames a handler's reply, or the error that takes its place where it can't be sent. */
static void put_reply(struct session *session, struct buffer *output, const struct buffer *reply)
{
    const char *text = buffer_head(reply);
    size_t size = buffer_size(reply);
    const struct loop *loop = session_loop(session);
    struct frame_edges edges;
    enum frame_refusal refusal =
        frame_encode(loop->settings->rules.codec, text, size, PROTOCOL_MAX_REPLY, &edges);
    if (refusal != FRAME_FITS) {
        put_handler_failed(session, output, frame_refusal_text(refusal));
    } else if (protocol_is_unasked(text, size)) {
        put_handler_failed(session, output, "its code is the server's alone");
    } else {
        if (loop->transcript)
            log_put(loop->transcript, LOG_PROCESSED, session->number, text, size);
        if (!frame_append(output, &edges, text, size))
            session_break(session, "out of memory");
    }
}

/* ---- the queue ---- */

void replies_queue(struct session *session, struct request *request)
{
    struct session_work *work = session->work;
    request->next = NULL;
    if (work->last)
        work->last->next = request;
    else
        work->first = request;
    work->last = request;
    work->pending++;
}

void replies_queue_late(struct session *session, struct request *request)
{
    replies_queue(session, request);
    if (request_detach(request))
        request->ready = true;
}

static void unqueue_first(struct session_work *work)
{
    struct request *request = work->first;
    work->first = request->next;
    if (!work->first)
        work->last = NULL;
    work->pending--;
    if (work->stalled == request)
        work->stalled = NULL;
    request->session = NULL; /* a holder, or the call's way back, may outlive the session */
    request_unref(request);
}

void replies_answered(struct session *session, struct turn *turn)
{
    struct request *request = turn->request;
    if (!replies_pending(session)) {
        put_reply(session, &turn->output, &request->reply);
        return;
    }
    turn->request = NULL;
    request->ready = true;
    replies_queue(session, request);
    request_release(request); /* the call's hold */
}

void replies_error(struct session *session, struct turn *turn, const char *code, const char *text)
{
    if (!replies_pending(session)) {
        put_error(session, &turn->output, code, text);
        return;
    }
    struct request *request = request_new();
    if (!request) {
        session_break(session, "out of memory");
        return;
    }
    request_start(request, session_loop(session), session, session->number, "", 0);
    replies_overrule(request, code, text);
    replies_queue(session, request);
    request_release(request);
}

bool replies_overrule(struct request *request, const char *code, const char *text)
{
    if (!request_claim(request))
        return false;
    request->verdict_code = code;
    request->verdict_text = text;
    request->ready = true;
    return true;
}

void replies_unasked(struct session *session, struct turn *turn, const char *code, const char *text)
{
    char frame[ERROR_BYTES];
    struct frame_edges edges;
    size_t size = protocol_write_error(frame, sizeof frame, code, text);
    if (frame_encode(session_loop(session)->settings->rules.codec, frame, size, PROTOCOL_MAX_REPLY,
                     &edges) != FRAME_FITS ||
        !frame_append(&turn->output, &edges, frame, size))
        session_break(session, "out of memory");
}

void replies_deliver(struct session *session, struct turn *turn)
{
    while (replies_deliverable(session) && buffer_size(&turn->output) < SESSION_MAX_UNSENT) {
        struct request *request = session->work->first;
        if (request->verdict_code)
            put_error(session, &turn->output, request->verdict_code, request->verdict_text);
        else
            put_reply(session, &turn->output, &request->reply);
        unqueue_first(session->work);
    }
}

void replies_cancel(struct session *session)
{
    struct session_work *work = session->work;
    while (work && work->first) {
        struct request *request = work->first;
        work->first = request->next;
        request->session = NULL;
        /* Where the handler was quicker its answer comes through the inbox, and is dropped
         * there. */
        if (request->ready || request_cancel(request))
            request_unref(request);
    }
}

/* ---- sending ---- */

/* How many bytes the kernel takes; breaks the session when the connection has failed. */
static size_t send_some(struct session *session, const char *data, size_t size)
{
    ssize_t sent;
    do {
        sent = send(session->fd, data, size, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return (size_t) sent;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        session_break(session, NULL);
    return 0;
}

static void start_write_clock(struct session *session)
{
    int64_t timeout = session_loop(session)->settings->write_timeout_ms;
    session->work->write_deadline_ms =
        timeout ? session_loop(session)->now_ms + timeout : TIMERS_NEVER;
}

void replies_send(struct session *session, struct turn *turn)
{
    struct buffer *output = &turn->output;
    if (buffer_size(output) == 0)
        return;
    buffer_consume(output, send_some(session, buffer_head(output), buffer_size(output)));
    if (buffer_size(output) > 0 && !session->broken && session_work(session)) {
        if (!buffer_append(&session->work->output, buffer_head(output), buffer_size(output)))
            session_break(session, "out of memory");
        start_write_clock(session);
    }
    if (output->capacity > KEPT_OUTPUT_BYTES)
        buffer_fini(output);
    else
        buffer_clear(output);
}

void replies_flush(struct session *session)
{
    struct buffer *output = &session->work->output;
    size_t sent = send_some(session, buffer_head(output), buffer_size(output));
    buffer_consume(output, sent);
    if (buffer_size(output) == 0)
        buffer_fini(output);
    else if (sent > 0)
        start_write_clock(session);
}
