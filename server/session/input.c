/* input: reading and cutting. */
#include "server/session/input.h"

#include <stdio.h>
#include <string.h>

#include "common/protocol.h"
#include "server/engine/monitor.h"
#include "server/handler.h"
#include "server/log/log.h"
#include "server/session/dispatch.h"
#include "server/session/output.h"
#include "server/session/session.h"
#include "server/session/shard.h"
#include "server/session/socket.h"

enum {
    READ_BYTES = 64 << 10, /* room for one read */
    /* what is left over is copied before the next read if it is no more than this */
    SMALL_REST = 32 << 10,
    /* a turn's buffer that has grown beyond this is given back after the turn */
    KEPT_INPUT_BYTES = 1 << 20,
    /* a turn that has taken so long, by the monitor's clock, lets others have theirs */
    TURN_MS = 2,
};

enum step {
    STEP_TAKEN,     /* something was taken from the input: there may be more */
    STEP_NEED_MORE, /* nothing complete is left */
    STEP_LOST,      /* the loop was taken */
};

bool input_open(const struct session *session)
{
    const struct shard *shard = session_shard(session);
    const struct session_active *active = session->active;
    if (session->input_over || session->broken || session->closing)
        return false;
    /* A session that is owed nothing is read all the same: it has no part in that. Refusing is not
     * the handler's work. */
    if (active && active->pending > 0 && !shard->refusing &&
        handler_is_full(shard->shared->settings.config.handler))
        return false;
    return !active || (!active->stalled && active->pending < SESSION_MAX_PENDING &&
                       buffer_size(&active->output) == 0);
}

static const struct frame_rules *rules_of(const struct session *session)
{
    return &session_shard(session)->shared->settings.rules;
}

static uint32_t drain_left(const struct session *session)
{
    return session->active ? session->active->drain_left : 0;
}

bool input_wants_bytes(const struct session *session)
{
    return input_open(session) && !session->unparsed && !session->eof &&
           !(session->draining && drain_left(session) == 0);
}

/* ---- the turn's input: what was left over, then what is read ---- */

/* A little that was left over is copied in front of the read; with much, its buffer itself is
 * read into, so that a long message is not copied once a read. */
static bool begin_input(struct session *session, struct scratch *scratch)
{
    struct buffer *left = &session->active->input;
    scratch->reading = &scratch->input;
    if (buffer_size(left) > SMALL_REST) {
        scratch->large = *left;
        *left = (struct buffer){0};
        scratch->reading = &scratch->large;
    } else if (buffer_size(left) > 0) {
        if (!buffer_append(&scratch->input, buffer_head(left), buffer_size(left))) {
            session_break(session, "out of memory");
            return false;
        }
        if (left->capacity > SMALL_REST)
            buffer_fini(left);
        else
            buffer_clear(left);
    }
    return true;
}

/* Moves what is left over of a buffer that is much larger: a few bytes, for which a client takes
 * its time, must not keep the memory of the large request before them. */
static bool fit(struct buffer *rest)
{
    struct buffer fitting = {0};
    size_t size = buffer_size(rest);
    if (rest->capacity / 2 <= size + READ_BYTES)
        return true;
    if (!buffer_append(&fitting, buffer_head(rest), size))
        return false;
    buffer_fini(rest);
    *rest = fitting;
    return true;
}

static void end_input(struct session *session, struct scratch *scratch)
{
    struct buffer *rest = scratch->reading;
    if (session->input_over)
        buffer_clear(rest);
    if (rest == &scratch->large) {
        if (buffer_size(rest) == 0)
            buffer_fini(rest);
        else if (!fit(rest))
            session_break(session, "out of memory");
        session->active->input = *rest;
        scratch->large = (struct buffer){0};
    } else if (buffer_size(rest) > 0) {
        if (!buffer_append(&session->active->input, buffer_head(rest), buffer_size(rest)))
            session_break(session, "out of memory");
    }
    if (scratch->input.capacity > KEPT_INPUT_BYTES)
        buffer_fini(&scratch->input);
    else
        buffer_clear(&scratch->input);
}

/* ---- reading ---- */

/* While draining, only what had been received when the stop began is still read. */
static size_t within_drain(const struct session *session, size_t bound)
{
    bool less = session->draining && session->active->drain_left < bound;
    return less ? session->active->drain_left : bound;
}

/* How much one read may return. In raw one read is one message, and one byte more tells that it
 * is too long; the quit word must be seen whatever the limit is. */
static size_t read_bound(const struct session *session)
{
    const struct frame_rules *rules = rules_of(session);
    size_t bound = READ_BYTES;
    if (rules->codec == FRAME_RAW) {
        size_t quit = sizeof PROTOCOL_QUIT - 1;
        bound = (rules->max_bytes > quit ? rules->max_bytes : quit) + 1;
    }
    return within_drain(session, bound);
}

static void end_of_stream(struct session *session)
{
    session->eof = true;
    session->unparsed = true; /* what is left over is looked at once more */
}

static size_t read_up_to(struct session *session, struct buffer *input, size_t bound)
{
    if (!buffer_reserve(input, bound)) {
        session_break(session, "out of memory");
        return 0;
    }
    ssize_t got = socket_read(session, buffer_tail(input), bound);
    if (got > 0) {
        buffer_added(input, (size_t) got);
        counter_add(&session_shard(session)->counters.received, (uint64_t) got);
        if (session->draining)
            session->active->drain_left -= (uint32_t) got;
        return (size_t) got;
    }
    if (got == 0)
        end_of_stream(session);
    else if (!socket_would_block())
        session_break(session, NULL);
    else
        session->active->drain_left = 0;
    return 0;
}

/* The last `size` bytes of the input were read just now. */
static void take_telnet(struct session *session, struct scratch *scratch, size_t size)
{
    struct buffer *input = scratch->reading;
    bool failed = false;
    input->end -= size;
    buffer_added(input, telnet_filter(&session->active->telnet, buffer_tail(input), size,
                                      &scratch->output, &failed));
    if (failed)
        session_break(session, "out of memory");
}

static void read_once(struct session *session, struct scratch *scratch)
{
    size_t bound = read_bound(session);
    size_t got = read_up_to(session, scratch->reading, bound);
    if (got > 0 && session_shard(session)->shared->settings.config.telnet)
        take_telnet(session, scratch, got);
}

/* ---- requests ---- */

static void take_quit(struct session *session)
{
    log_put(session_shard(session)->log, LOG_QUIT, session->number, "", 0);
    session->input_over = true;
}

/* --max-requests: nothing is taken behind the last one. */
static void count_taken(struct session *session)
{
    unsigned max_requests = session_shard(session)->shared->settings.config.max_requests;
    if (max_requests > 0 && ++session->taken == max_requests)
        session->input_over = true;
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

/* raw: drops a piece of an overlong message. What follows the quit word, if that is in it, stays in
 * the input. False: it is there. */
static bool drop_raw(struct session *session, struct buffer *input)
{
    struct frame frame;
    const char *head = buffer_head(input);
    const char *quit = protocol_find_quit(head, buffer_size(input));
    size_t size = quit ? (size_t) (quit - head) : buffer_size(input);
    if (size > 0)
        frame_next(rules_of(session), &session->active->decoder, head, size, &frame);
    buffer_consume(input, size);
    return !quit;
}

/* raw: an overlong message goes on with all that can be read at once. That is what the kernel holds
 * at this moment, and no more: a client that sends without pause must not keep the loop. */
static void drop_rest_of_raw(struct session *session, struct buffer *input)
{
    size_t left = within_drain(session, session->eof ? 0 : socket_readable(session));
    bool goes_on = true;
    while (left > 0 && goes_on) {
        size_t got = read_up_to(session, input, left < READ_BYTES ? left : READ_BYTES);
        goes_on = got > 0 && drop_raw(session, input);
        left -= got;
    }
}

/* The rest of the request is not read any more: reports what has come of it. */
static void end_too_long(struct session *session, bool in_crlf)
{
    struct frame frame;
    frame_end(rules_of(session), &session->active->decoder, 0, &frame);
    log_too_long(session, frame.size - in_crlf);
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
    session->input_over = true;
}

/* `left` bytes of the input are left over. */
static void end_of_input(struct session *session, struct scratch *scratch, size_t left,
                         const char *why)
{
    struct frame frame;
    enum frame_outcome outcome =
        frame_end(rules_of(session), &session->active->decoder, left, &frame);
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

/* Takes one thing from the input. */
static enum step take_next(struct session *session, struct scratch *scratch)
{
    const struct frame_rules *rules = rules_of(session);
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

    switch (outcome) {
    case FRAME_MESSAGE:
        session->crlf = frame.ends_in_crlf;
        if (rules->codec == FRAME_RAW || !protocol_is_quit(frame.message, frame.size)) {
            count_taken(session);
            return dispatch(session, scratch, frame.message, frame.size) ? STEP_TAKEN : STEP_LOST;
        }
        take_quit(session);
        return STEP_TAKEN;
    case FRAME_OVERSIZE:
        if (frame.consumed < size) /* otherwise its end is not there yet */
            session->crlf = frame.ends_in_crlf;
        take_too_long(session, scratch);
        if (rules->codec == FRAME_RAW && !quit)
            drop_rest_of_raw(session, input);
        count_taken(session);
        if (session->input_over)
            end_too_long(session, frame.ends_in_crlf);
        return STEP_TAKEN;
    case FRAME_OVERSIZE_END:
        log_too_long(session, frame.size);
        return STEP_TAKEN;
    case FRAME_BAD:
        take_fatal(session, scratch, outcome);
        return STEP_TAKEN;
    case FRAME_BAD_LENGTH:
        log_too_long(session, frame.size);
        take_fatal(session, scratch, outcome);
        return STEP_TAKEN;
    default: /* FRAME_MORE */
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

bool input_run(struct session *session, struct scratch *scratch, bool readable)
{
    if (!input_open(session) || !session_activate(session) || !begin_input(session, scratch))
        return true;
    bool may_read = readable || session->draining;
    if (may_read && input_wants_bytes(session))
        read_once(session, scratch);

    enum step step;
    do {
        step = take_next(session, scratch);
        if (step == STEP_LOST)
            return false;
    } while (step == STEP_TAKEN && input_open(session) && !turn_is_over(session, scratch));
    bool used_up = step == STEP_NEED_MORE;
    bool ended = session->eof || (session->draining && session->active->drain_left == 0);
    if (used_up && ended)
        end_of_input(session, scratch, buffer_size(scratch->reading),
                     session->eof ? "the stream ended before it did" : NULL);
    session->unparsed = !used_up && !session->input_over;
    end_input(session, scratch);
    return true;
}
