/* output: the queue of requests that wait, framing, sending. */
#include "server/session/output.h"

#include <stdio.h>
#include <string.h>

#include "common/buffer_pool.h"
#include "common/clock.h"
#include "common/protocol.h"
#include "server/handler.h"
#include "server/log/log.h"
#include "server/request_owner.h"
#include "server/session/memory.h"
#include "server/session/session.h"
#include "server/session/shard.h"
#include "server/session/socket.h"

/* A turn's buffer that has grown beyond this is given back after the turn. */
enum { KEPT_OUTPUT_BYTES = 1 << 20 };

bool output_deliverable(const struct session *session)
{
    return output_pending(session) && STAILQ_FIRST(&session->active->requests)->ready &&
           !output_unsent(session) && !session->broken;
}

/* ---- framing ---- */

/* Replies end as their requests did. */
static enum frame_codec codec_of(const struct session *session, bool in_crlf)
{
    return frame_codec_ending(session_shard(session)->shared->settings.config.codec, in_crlf);
}

static void count_error(struct shard *shard, int code)
{
    if (code >= 0)
        counter_add(&shard->counters.errors[code], 1);
}

/* Frames an error of the server's. */
static void put_error(struct session *session, struct buffer *output, bool in_crlf,
                      const char *code, const char *text)
{
    struct shard *shard = session_shard(session);
    char error[PROTOCOL_ERROR_SIZE];
    size_t size = protocol_write_error(error, sizeof error, code, text);
    count_error(shard, protocol_error_code(error, size));
    log_put(shard->log, LOG_PROCESSED, session->number, error, size);
    if (!protocol_append_error(output, codec_of(session, in_crlf), code, text))
        session_break(session, "out of memory");
}

static void put_handler_failed(struct session *session, struct buffer *output, bool in_crlf,
                               const char *why)
{
    char text[200];
    snprintf(text, sizeof text, "the handler's reply can't be sent: %s", why);
    log_put(session_shard(session)->log, LOG_HANDLER_FAILED, session->number, text, strlen(text));
    put_error(session, output, in_crlf, PROTOCOL_HANDLER_FAILED, text);
}

/* Frames a handler's reply, or the error that takes its place if it can't be sent. */
static void put_reply(struct session *session, struct buffer *output, bool in_crlf,
                      const char *text, size_t size)
{
    struct shard *shard = session_shard(session);
    int code = protocol_error_code(text, size);
    if (code >= 0 && protocol_is_unasked(text, size)) {
        put_handler_failed(session, output, in_crlf, "its code is the server's alone");
        return;
    }
    enum frame_refusal refusal =
        frame_put(output, codec_of(session, in_crlf), text, size, PROTOCOL_MAX_REPLY);
    if (refusal == FRAME_FITS) {
        count_error(shard, code);
        if (shard->transcript)
            log_put(shard->transcript, LOG_PROCESSED, session->number, text, size);
    } else if (refusal == FRAME_NO_MEMORY) {
        session_break(session, "out of memory");
    } else {
        put_handler_failed(session, output, in_crlf, frame_refusal_text(refusal));
    }
}

/* Ends a reply where it is and lets it change places with `output`, which is empty. False: it can't
 * be framed so. */
static bool pass_on(struct buffer *output, enum frame_codec codec, struct buffer *reply)
{
    struct frame_edges edges;
    if (buffer_size(output) > 0 ||
        frame_encode(codec, buffer_head(reply), buffer_size(reply), PROTOCOL_MAX_REPLY, &edges) !=
            FRAME_FITS ||
        edges.head_size > 0 || edges.stuffing > 0 || buffer_room(reply) < edges.tail_size)
        return false;
    buffer_append(reply, edges.tail, edges.tail_size);
    buffer_swap(output, reply);
    return true;
}

/* Frames a large reply without a copy. False: it is for put_reply(). */
static __attribute__((cold, noinline)) bool
put_large(struct session *session, struct buffer *output, bool in_crlf, struct buffer *reply)
{
    const struct shard *shard = session_shard(session);
    size_t size = buffer_size(reply);
    if (size < BUFFER_POOL_LEAST || protocol_error_code(buffer_head(reply), size) >= 0 ||
        !pass_on(output, codec_of(session, in_crlf), reply))
        return false;
    if (shard->transcript)
        log_put(shard->transcript, LOG_PROCESSED, session->number, buffer_head(output), size);
    return true;
}

/* Frames what a handler has answered. */
static inline void put_answer(struct session *session, struct buffer *output, bool in_crlf,
                              struct request *request)
{
    struct buffer *reply = &request->reply;
    if (reply->capacity >= BUFFER_POOL_LEAST && put_large(session, output, in_crlf, reply))
        return;
    if (buffer_size(reply) == 0 && request->no_memory)
        put_error(session, output, in_crlf, PROTOCOL_HANDLER_FAILED, "out of memory");
    else
        put_reply(session, output, in_crlf, buffer_head(reply), buffer_size(reply));
}

/* ---- the queue ---- */

static void enqueue(struct session *session, struct request *request)
{
    request->ends_in_crlf = session->crlf; /* it is the last one that was taken */
    STAILQ_INSERT_TAIL(&session->active->requests, request, entry);
    session->active->pending++;
    session->active->messages += request->size;
}

void output_queue(struct session *session, struct request *request)
{
    struct shard *shard = session_shard(session);
    request->begun_ns = shard->loop.batch_ns;
    counter_add(&shard->counters.late, 1);
    enqueue(session, request);
}

void output_ready(struct session *session, struct request *request)
{
    request->ready = true;
    request->held = request->reply.capacity;
    session->active->replies += request->held;
}

void output_queue_late(struct session *session, struct request *request)
{
    output_queue(session, request);
    if (request_detach(request))
        output_ready(session, request);
}

/* Tells the handler of a reply that it may have counted; it was never given what the server has
 * refused itself. */
static void report_gone(struct request *request)
{
    struct handler *handler = request->handler;
    if (request->session_data && handler->kind->reply_gone &&
        (request->verdict_code || request->held > HANDLER_SMALL_REPLY))
        handler->kind->reply_gone(handler, request);
}

/* One that was taken out of the queue. */
static void let_go(struct session *session, struct request *request)
{
    struct session_active *active = session->active;
    active->pending--;
    active->replies -= request->held;
    active->messages -= request->size;
    report_gone(request);
    if (active->stalled == request)
        active->stalled = NULL;
    request->context = NULL; /* a holder, or the call's way back, may outlive the session */
}

static void unqueue_first(struct session *session)
{
    struct session_active *active = session->active;
    struct request *request = STAILQ_FIRST(&active->requests);
    STAILQ_REMOVE_HEAD(&active->requests, entry);
    let_go(session, request);
    request_unref_to(request, &session_shard(session)->spares);
}

/* The last reply has been delivered: the session is closed in order. */
static void end_behind(struct session *session)
{
    session_end_input(session);
    output_cancel(session);
    session->active->pending = 0;
    session->active->replies = 0;
    session->active->messages = 0;
}

void output_answered(struct session *session, struct scratch *scratch)
{
    struct request *request = scratch->request;
    if (!output_pending(session)) {
        put_answer(session, &scratch->output, session->crlf, request);
        if (request->last)
            end_behind(session);
        return;
    }
    scratch->request = NULL;
    output_queue(session, request);
    output_ready(session, request);
    request_release(request); /* the call's hold */
}

void output_error(struct session *session, struct scratch *scratch, const char *code,
                  const char *text)
{
    if (!output_pending(session)) {
        put_error(session, &scratch->output, session->crlf, code, text);
        return;
    }
    struct shard *shard = session_shard(session);
    struct request *request = shard_request(shard);
    if (!request) {
        session_break(session, "out of memory");
        return;
    }
    request_start(request, &shard->loop, session, session->number, "", 0);
    request_defer(request); /* for good: the handler is not given it */
    output_overrule(request, code, text);
    request->begun_ns = 0;
    enqueue(session, request);
    request_release(request);
}

bool output_overrule(struct request *request, const char *code, const char *text)
{
    if (!request_claim(request))
        return false;
    request->verdict_code = code;
    request->verdict_text = text;
    request->ready = true;
    return true;
}

void output_unasked(struct session *session, struct scratch *scratch, const char *code,
                    const char *text)
{
    if (!protocol_append_error(&scratch->output, codec_of(session, session->crlf), code, text))
        session_break(session, "out of memory");
}

void output_line(struct session *session, struct scratch *scratch, const char *text, size_t size)
{
    put_reply(session, &scratch->output, session->crlf, text, size);
}

void output_unsendable(struct session *session, struct scratch *scratch, enum frame_refusal why)
{
    put_handler_failed(session, &scratch->output, session->crlf, frame_refusal_text(why));
}

/* A late answer may say so too, but it is not the one that is sent. When a stop can't wait longer,
 * each request is refused. */
static bool request_is_last(const struct shard *shard, const struct request *request)
{
    if (!request->verdict_code)
        return request->last;
    return request->handler->late_ends_session && !shard->refusing &&
           strcmp(request->verdict_code, PROTOCOL_HANDLER_TIMEOUT) == 0;
}

/* The first request's reply is framed in its place. */
static void measure_late(struct session *session, int64_t *now_ns)
{
    const struct request *request = STAILQ_FIRST(&session->active->requests);
    if (!request->begun_ns)
        return;
    if (!*now_ns)
        *now_ns = clock_ns(CLOCK_MONOTONIC);
    latency_add(&session_shard(session)->counters.latency_late, *now_ns - request->begun_ns, 1);
}

void output_deliver(struct session *session, struct scratch *scratch)
{
    int64_t now_ns = 0; /* of all that are delivered together */
    while (output_deliverable(session) && buffer_size(&scratch->output) < SESSION_MAX_UNSENT) {
        struct request *request = STAILQ_FIRST(&session->active->requests);
        if (request->verdict_code)
            put_error(session, &scratch->output, request->ends_in_crlf, request->verdict_code,
                      request->verdict_text);
        else
            put_answer(session, &scratch->output, request->ends_in_crlf, request);
        bool last = request_is_last(session_shard(session), request);
        measure_late(session, &now_ns);
        unqueue_first(session);
        if (last)
            end_behind(session);
    }
}

void output_cancel(struct session *session)
{
    struct session_active *active = session->active;
    struct request *request;
    while (active && (request = STAILQ_FIRST(&active->requests))) {
        STAILQ_REMOVE_HEAD(&active->requests, entry);
        request->context = NULL;
        /* If the handler was quicker its answer comes through the inbox, and is dropped there. */
        if (request->ready || request_cancel(request))
            request_unref(request);
    }
}

/* ---- the stop ---- */

/* Answers each request that is owed. Returns the last one that was begun; NULL: there is none. */
static struct request *refuse_owed(struct session *session)
{
    struct request *request, *last = NULL;
    STAILQ_FOREACH(request, &session->active->requests, entry) {
        /* If the handler was quicker: as when its time is over. */
        if (!request->ready &&
            !output_overrule(request, PROTOCOL_HANDLER_TIMEOUT, OUTPUT_STOPPING_TEXT) &&
            request_take_answer(request))
            output_ready(session, request);
        if (request_was_begun(request))
            last = request;
    }
    return last;
}

bool output_refuse(struct session *session)
{
    if (!output_pending(session))
        return false;
    struct request_queue *requests = &session->active->requests;
    struct request *last = refuse_owed(session), *request;
    bool dropped = false;
    while ((request = last ? STAILQ_NEXT(last, entry) : STAILQ_FIRST(requests))) {
        STAILQ_REMOVE(requests, request, request, entry);
        let_go(session, request);
        /* Else the answer comes through the inbox, and is dropped there. */
        if (request->ready)
            request_unref(request);
        dropped = true;
    }
    return dropped;
}

/* ---- sending ---- */

/* How many bytes the kernel takes; breaks the session if the connection has failed. */
static size_t send_some(struct session *session, const char *data, size_t size)
{
    ssize_t sent = socket_write(session, data, size);
    if (sent >= 0) {
        counter_add(&session_shard(session)->counters.sent, (uint64_t) sent);
        return (size_t) sent;
    }
    if (!socket_would_block())
        session_break(session, socket_failure());
    return 0;
}

static void start_write_clock(struct session *session)
{
    const struct shard *shard = session_shard(session);
    int64_t timeout = shard->shared->settings.config.write_timeout_ms;
    session->active->write_deadline_ms = timeout ? shard->loop.now_ms + timeout : CLOCK_NEVER;
}

/* Keeps the buffer itself if what is in it would take long to copy. */
static __attribute__((noinline)) void keep(struct session *session, struct buffer *output)
{
    size_t size = buffer_size(output);
    if (size >= BUFFER_POOL_LEAST && size >= output->capacity / 4 && !output_unsent(session))
        buffer_swap(&session->active->output, output);
    else if (!buffer_append(&session->active->output, buffer_head(output), buffer_size(output)))
        session_break(session, "out of memory");
}

static void clear(struct buffer *output)
{
    if (output->capacity > KEPT_OUTPUT_BYTES)
        buffer_fini(output);
    else
        buffer_clear(output);
}

/* The kernel has not taken all of a large reply, or of many, as is usual, since it is to hold
 * little for those who don't read. In pieces that costs a third more, for each has left the
 * processor's cache until it is its turn: so the kernel gets all of it, while there is memory. */
static __attribute__((cold, noinline)) void send_rest(struct session *session,
                                                      struct buffer *output)
{
    const struct shard *shard = session_shard(session);
    if (!session->broken && memory_level(shard->shared->memory) == MEMORY_FREE &&
        socket_hold_large(session))
        buffer_consume(output, send_some(session, buffer_head(output), buffer_size(output)));
}

void output_send(struct session *session, struct scratch *scratch)
{
    struct buffer *output = &scratch->output;
    if (buffer_size(output) == 0)
        return;
    buffer_consume(output, send_some(session, buffer_head(output), buffer_size(output)));
    if (buffer_size(output) >= BUFFER_POOL_LEAST)
        send_rest(session, output);
    if (buffer_size(output) > 0 && !session->broken && session_activate(session)) {
        keep(session, output);
        start_write_clock(session);
    }
    clear(output);
}

void output_keep(struct session *session, struct scratch *scratch)
{
    keep(session, &scratch->output);
    clear(&scratch->output);
}

bool output_flush(struct session *session)
{
    struct buffer *output = &session->active->output;
    size_t sent = send_some(session, buffer_head(output), buffer_size(output));
    buffer_consume(output, sent);
    if (sent > 0)
        start_write_clock(session);
    if (buffer_size(output) > 0)
        return false;
    buffer_fini(output);
    return true;
}

void output_tell_stop(struct session *session)
{
    const struct server_config *config = &session_shard(session)->shared->settings.config;
    session->draining = false;
    if (config->codec == FRAME_RAW || config->handler->relays || !session_activate(session))
        return;
    bool is_first = !output_unsent(session);
    const char *text =
        session_shard(session)->draining ? OUTPUT_STOPPING_TEXT : OUTPUT_CLOSING_TEXT;
    count_error(session_shard(session), PROTOCOL_CODE_STOPPING);
    if (!protocol_append_error(&session->active->output, codec_of(session, session->crlf),
                               PROTOCOL_STOPPING, text)) {
        session_break(session, "out of memory");
    } else if (is_first) {
        start_write_clock(session);
        output_flush(session);
    }
}

bool output_end(struct session *session)
{
    if (socket_say_end(session))
        return true;
    if (session_activate(session) && buffer_append(&session->active->output, "", 1))
        start_write_clock(session);
    else
        session_break(session, "out of memory");
    return false;
}
