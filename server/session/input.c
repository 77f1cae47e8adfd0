/* input: cutting. */
#include "server/session/input.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/engine/monitor.h"
#include "server/handler.h"
#include "server/log/log.h"
#include "server/session/dispatch.h"
#include "server/session/output.h"
#include "server/session/reading.h"
#include "server/session/session.h"
#include "server/session/shard.h"
#include "server/session/socket.h"

/* A turn that has taken so long, by the monitor's clock, lets others have theirs; and so does one
 * in a batch that has, instead of reading on. */
enum { TURN_MS = 2 };

struct view {
    const char *data;
    size_t size;
};

enum step {
    STEP_TAKEN,     /* something was taken from the input: there may be more */
    STEP_NEED_MORE, /* nothing complete is left */
    STEP_LOST,      /* the loop was taken */
};

/* In a function of its own, so that each of its callers has it inside. */
static inline bool is_open(const struct session *session)
{
    const struct shard *shard = session_shard(session);
    const struct session_active *active = session->active;
    if (session->input_over || session->broken || session->closing)
        return false;
    if (active && active->pending > 0 &&
        handler_holds_back(shard->shared->settings.config.handler, session->handler_data))
        return false;
    return !active || (!active->stalled && active->pending < SESSION_MAX_PENDING &&
                       active->replies <= SESSION_MAX_REPLIES &&
                       (int64_t) buffer_size(&active->output) <= active->unsent_allowed);
}

bool input_open(const struct session *session) { return is_open(session); }

static uint32_t drain_left(const struct session *session)
{
    return session->active ? session->active->drain_left : 0;
}

/* Whether memory is too short for reading more of it. */
static bool is_barred(const struct session *session)
{
    return session->active ? session->active->barred
                           : memory_level(session_shard(session)->shared->memory) == MEMORY_OUT;
}

/* Of a session whose input is open. */
static bool wants_bytes(const struct session *session)
{
    return !session->unparsed && !session->eof && !is_barred(session) &&
           !(session->draining && drain_left(session) == 0);
}

bool input_wants_bytes(const struct session *session)
{
    return is_open(session) && wants_bytes(session);
}

/* ---- requests ---- */

static void take_quit(struct session *session)
{
    log_put(session_shard(session)->log, LOG_QUIT, session->number, "", 0);
    session_end_input(session);
}

/* --max-requests: nothing is taken behind the last one. */
static void count_taken(struct session *session)
{
    unsigned max_requests = session_shard(session)->shared->settings.config.max_requests;
    if (max_requests > 0 && ++session->taken == max_requests)
        session_end_input(session);
}

static void take_too_long(struct session *session, struct scratch *scratch)
{
    counter_add(&session_shard(session)->loop.served, 1);
    output_error(session, scratch, PROTOCOL_TOO_LONG,
                 session_shard(session)->shared->settings.too_long_text);
}

static void log_too_long(struct session *session, size_t size)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%zu", size);
    log_put(session_shard(session)->log, LOG_TOO_LONG, session->number, text, (size_t) length);
}

/* ---- HTTP ---- */

/* What is rare in here is not inlined, so that what it has on its stack costs the others nothing.
 */

static __attribute__((noinline)) void take_http(struct session *session, struct scratch *scratch)
{
    log_put(session_shard(session)->log, LOG_HTTP, session->number, "", 0);
    counter_add(&session_shard(session)->loop.served, 1);
    output_error(session, scratch, PROTOCOL_BAD_REQUEST, "this is no HTTP server");
    session_end_input(session);
}

/* Whether a session begins with HTTP, which a netstring can't: this is its first message, or, in
 * raw, its first read. */
static __attribute__((noinline)) bool is_http(struct session *session, const char *message,
                                              size_t size)
{
    enum frame_codec codec = session_rules(session)->codec;
    struct http_line line = {0};
    session->begun = true;
    if (codec != FRAME_RAW)
        return codec != FRAME_NETSTRING && http_is_request(message, size);
    http_line_add(&line, message, size, true);
    return http_line_is_request(&line);
}

/* The same, piece by piece, for a first message that is over the limit and is dropped. */
static __attribute__((noinline)) bool drops_http(struct session *session, const char *data,
                                                 size_t size, bool ends)
{
    if (session->begun)
        return false;
    http_line_add(&session->active->first, data, size, ends);
    session->begun = ends;
    return ends && http_line_is_request(&session->active->first);
}

/* ---- overlong requests ---- */

/* raw: drops a piece of an overlong message. What follows the quit word, if that is in it, stays in
 * the input. False: it is there. */
static bool drop_raw(struct session *session, struct buffer *input)
{
    const char *head = buffer_head(input);
    const char *quit = protocol_find_quit(head, buffer_size(input));
    size_t size = quit ? (size_t) (quit - head) : buffer_size(input);
    frame_raw_goes_on(&session->active->decoder, size);
    drops_http(session, head, size, false);
    buffer_consume(input, size);
    return !quit;
}

/* raw: an overlong message goes on with all that can be read at once. That is what the kernel holds
 * at this moment, and no more: a client that sends without pause must not keep the loop. */
static void drop_rest_of_raw(struct session *session, struct buffer *input)
{
    size_t left = reading_bound(session, session->eof ? 0 : socket_readable(session));
    bool goes_on = true;
    while (left > 0 && goes_on) {
        size_t got = reading_up_to(session, input, left < READING_BYTES ? left : READING_BYTES);
        goes_on = got > 0 && drop_raw(session, input);
        left -= got;
    }
}

/* The rest of the request is not read any more: reports what has come of it. */
static void end_too_long(struct session *session, bool in_crlf)
{
    struct frame frame;
    frame_end(session_rules(session), &session->active->decoder, 0, &frame);
    log_too_long(session, frame.size - in_crlf);
}

/* A request is over the limit, as far as it is in the input, of which it was just dropped. raw: it
 * may go on. */
static __attribute__((noinline)) void begin_too_long(struct session *session,
                                                     struct scratch *scratch,
                                                     const struct frame *frame, struct view input,
                                                     bool goes_on)
{
    bool is_raw = session_rules(session)->codec == FRAME_RAW;
    bool ends = frame->consumed < input.size; /* otherwise its end is not there yet */
    if (ends)
        session->crlf = frame->ends_in_crlf;
    bool http = drops_http(session, input.data, frame->consumed, ends && !is_raw);
    if (is_raw && goes_on)
        drop_rest_of_raw(session, scratch->reading);
    if (http || (is_raw && drops_http(session, "", 0, true))) {
        take_http(session, scratch);
        return;
    }
    take_too_long(session, scratch);
    count_taken(session);
    if (session->input_over)
        end_too_long(session, frame->ends_in_crlf);
}

/* netstring: the stream can't be trusted any more. */
static void take_fatal(struct session *session, struct scratch *scratch, enum frame_outcome outcome)
{
    static const char malformed[] = "a netstring is LENGTH:BYTES, and this is none";
    if (outcome == FRAME_BAD_LENGTH) {
        take_too_long(session, scratch);
    } else {
        log_put(session_shard(session)->log, LOG_BAD_FRAME, session->number, malformed,
                sizeof malformed - 1);
        output_error(session, scratch, PROTOCOL_BAD_FRAME, malformed);
    }
    session_end_input(session);
}

/* `left` bytes of the input are left over. */
static void end_of_input(struct session *session, struct scratch *scratch, size_t left,
                         const char *why)
{
    struct frame frame;
    enum frame_outcome outcome =
        frame_end(session_rules(session), &session->active->decoder, left, &frame);
    if (outcome == FRAME_OVERSIZE_END) {
        log_too_long(session, frame.size);
    } else if (outcome == FRAME_END_PARTIAL && why) {
        log_put(session_shard(session)->log, LOG_INCOMPLETE, session->number, why, strlen(why));
        output_error(session, scratch, PROTOCOL_INCOMPLETE, why);
    }
    session->input_over = true;
}

void input_end(struct session *session, struct scratch *scratch, const char *why)
{
    if (session->active)
        end_of_input(session, scratch, buffer_size(&session->active->input), why);
    session->input_over = true;
}

static enum step take_message(struct session *session, struct scratch *scratch,
                              const struct frame *frame)
{
    session->crlf = frame->ends_in_crlf;
    if (!session->begun && is_http(session, frame->message, frame->size)) {
        take_http(session, scratch);
        return STEP_TAKEN;
    }
    if (session_rules(session)->codec != FRAME_RAW &&
        protocol_is_quit(frame->message, frame->size)) {
        take_quit(session);
        return STEP_TAKEN;
    }
    count_taken(session);
    return dispatch(session, scratch, frame->message, frame->size) ? STEP_TAKEN : STEP_LOST;
}

/* Takes one thing from the input. */
static enum step take_next(struct session *session, struct scratch *scratch)
{
    const struct frame_rules *rules = session_rules(session);
    struct buffer *input = scratch->reading;
    size_t size = buffer_size(input);
    const char *head = size ? buffer_head(input) : "";
    const char *quit = rules->codec == FRAME_RAW ? protocol_find_quit(head, size) : NULL;
    struct frame frame;
    enum frame_outcome outcome = frame_next(rules, &session->active->decoder, head,
                                            quit ? (size_t) (quit - head) : size, &frame);
    buffer_consume(input, frame.consumed);
    if (outcome != FRAME_MORE && outcome != FRAME_OVERSIZE)
        session->active->partial_left_ms = 0; /* the next message has a time of its own */
    if (outcome == FRAME_MESSAGE)
        return take_message(session, scratch, &frame);

    switch (outcome) {
    case FRAME_OVERSIZE:
        begin_too_long(session, scratch, &frame, (struct view){head, size}, !quit);
        return STEP_TAKEN;
    case FRAME_OVERSIZE_END:
        log_too_long(session, frame.size);
        /* An LF was dropped last, or nothing. */
        if (drops_http(session, head, frame.consumed - (frame.consumed > 0), true))
            take_http(session, scratch);
        return STEP_TAKEN;
    case FRAME_BAD:
        take_fatal(session, scratch, outcome);
        return STEP_TAKEN;
    case FRAME_BAD_LENGTH:
        log_too_long(session, frame.size);
        take_fatal(session, scratch, outcome);
        return STEP_TAKEN;
    default: /* FRAME_MORE */
        if (frame.consumed > 0)
            drops_http(session, head, frame.consumed, false);
        if (quit)
            take_quit(session);
        return quit ? STEP_TAKEN : STEP_NEED_MORE;
    }
}

static bool turn_is_over(const struct session *session, const struct scratch *scratch)
{
    return buffer_size(&scratch->output) >= SESSION_MAX_UNSENT ||
           monitor_clock_ms(session_shard(session)->shared->monitor) - scratch->begun_ms >= TURN_MS;
}

/* Whether more of a large message is read at once. If that comes to its end in one turn, it is
 * still in the processor's cache when it is answered, and its buffer is free for that of the next
 * session. A reply is sent first; and all that read on in a batch delay the others no longer than
 * one may. */
static __attribute__((cold, noinline)) bool reads_on(struct session *session,
                                                     const struct scratch *scratch)
{
    if (buffer_size(&scratch->output) > 0 ||
        clock_ms() - session_shard(session)->loop.now_ms >= TURN_MS)
        return false;
    session_count_held(session);
    return input_wants_bytes(session) && socket_readable(session) > 0;
}

/* Half a request gets no answer if somebody else may have cut its end off. */
static const char *why_it_ended(const struct session *session)
{
    return session->eof && !socket_was_cut(session) ? "the stream ended before it did" : NULL;
}

bool input_run(struct session *session, struct scratch *scratch, bool readable)
{
    bool may_read = readable || session->draining || socket_holds(session);
    do {
        if (!input_open(session) || !session_activate(session) || !reading_begin(session, scratch))
            return true;
        if (may_read && wants_bytes(session))
            reading_once(session, scratch);

        enum step step;
        do {
            step = take_next(session, scratch);
            if (step == STEP_LOST)
                return false;
        } while (step == STEP_TAKEN && input_open(session) && !turn_is_over(session, scratch));
        bool used_up = step == STEP_NEED_MORE;
        bool ended = session->eof || (session->draining && session->active->drain_left == 0);
        if (used_up && ended)
            end_of_input(session, scratch, buffer_size(scratch->reading), why_it_ended(session));
        if (used_up && session->eof)
            session_end_input(session);
        session->unparsed = !used_up && !session->input_over;
        may_read = true;
    } while (reading_end(session, scratch) && reads_on(session, scratch));
    return true;
}
