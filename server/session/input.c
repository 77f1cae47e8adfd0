/* intake: reading, cutting, calling. */
#include "server/session/input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/engine/pool.h"
#include "server/engine/monitor.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/engine/executor.h"
#include "server/engine/cost.h"
#include "server/session/output.h"
#include "server/request_owner.h"
#include "server/session/session.h"

enum {
    READ_BYTES = 64 << 10, /* room for one read */
    /* so much left over is copied before the next read; more stays where it is */
    SMALL_REST = 32 << 10,
    /* a turn's buffer that has grown beyond this is given back after the turn */
    KEPT_INPUT_BYTES = 1 << 20,
    /* a turn that has taken so long, by the watcher's clock, lets others have theirs */
    TURN_MS = 2,
};

enum step {
    STEP_TAKEN,     /* something was taken from the input: there may be more */
    STEP_NEED_MORE, /* nothing complete is left */
    STEP_LOST,      /* the loop was taken away */
};

bool input_open(const struct session *session)
{
    const struct loop *loop = session_loop(session);
    if (session->input_over || session->broken || session->closing)
        return false;
    if (handler_is_full(loop->settings->handler) && !loop->refusing) /* refusing is not its work */
        return false;
    const struct session_active *active = session->active;
    return !active || (!active->stalled && active->pending < SESSION_MAX_PENDING &&
                     buffer_size(&active->output) == 0);
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
        buffer_clear(left);
    }
    return true;
}

static void end_input(struct session *session, struct scratch *scratch)
{
    struct buffer *rest = scratch->reading;
    if (session->input_over)
        buffer_clear(rest);
    if (rest == &scratch->large) {
        if (buffer_size(rest) > 0)
            session->active->input = *rest;
        else
            buffer_fini(rest);
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
    const struct frame_rules *rules = &session_loop(session)->settings->rules;
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
    ssize_t got;
    do {
        got = recv(session->fd, buffer_tail(input), bound, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        buffer_added(input, (size_t) got);
        if (session->draining)
            session->active->drain_left -= (uint32_t) got;
        return (size_t) got;
    }
    if (got == 0)
        end_of_stream(session);
    else if (errno != EAGAIN && errno != EWOULDBLOCK)
        session_break(session, NULL);
    else
        session->active->drain_left = 0;
    return 0;
}

/* raw: an overlong message is all that can be read at once. */
static void read_rest_of_raw(struct session *session, struct buffer *input)
{
    int readable;
    while (!session->broken && !session->eof && ioctl(session->fd, FIONREAD, &readable) == 0 &&
           readable > 0) {
        size_t bound = within_drain(session, (size_t) readable);
        if (bound == 0 || read_up_to(session, input, bound) == 0)
            return;
    }
}

static void read_once(struct session *session, struct buffer *input)
{
    const struct frame_rules *rules = &session_loop(session)->settings->rules;
    size_t bound = read_bound(session);
    size_t got = read_up_to(session, input, bound);
    if (rules->codec == FRAME_RAW && got > rules->max_bytes)
        read_rest_of_raw(session, input);
}

/* ---- requests ---- */

static void take_quit(struct session *session)
{
    log_put(session_loop(session)->log, LOG_QUIT, session->number, "", 0);
    session->input_over = true;
}

static void take_too_long(struct session *session, struct scratch *scratch)
{
    loop_count_request(session_loop(session));
    output_error(session, scratch, PROTOCOL_TOO_LONG, session_loop(session)->settings->too_long_text);
}

static void log_too_long(struct session *session, size_t size)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%zu", size);
    log_put(session_loop(session)->log, LOG_TOO_LONG, session->number, text, (size_t) length);
}

/* netstring: the stream can't be trusted any more. */
static void take_fatal(struct session *session, struct scratch *scratch, enum frame_outcome outcome)
{
    static const char malformed[] = "a netstring is LENGTH:BYTES, and this is none";
    if (outcome == FRAME_BAD_LENGTH) {
        take_too_long(session, scratch);
    } else {
        log_put(session_loop(session)->log, LOG_BAD_FRAME, session->number, malformed,
                sizeof malformed - 1);
        output_error(session, scratch, PROTOCOL_BAD_FRAME, malformed);
    }
    session->input_over = true;
}

/* `left` bytes of the input are left over. */
static void end_of_input(struct session *session, struct scratch *scratch, size_t left, const char *why)
{
    struct frame frame;
    enum frame_outcome outcome =
        frame_end(&session_loop(session)->settings->rules, &session->active->decoder, left, &frame);
    if (outcome == FRAME_OVERSIZE_END) {
        log_too_long(session, frame.size);
    } else if (outcome == FRAME_END_PARTIAL && why) {
        log_put(session_loop(session)->log, LOG_INCOMPLETE, session->number, why, strlen(why));
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

/* The handler will answer later, or has answered while others wait before it. */
static void keep_held(struct session *session, struct scratch *scratch)
{
    struct request *request = scratch->request;
    scratch->request = NULL;
    output_queue_late(session, request);
    request_release(request); /* the call's hold */
}

/* Whether the next request is likely to take long. A handler that has data of a session is not
 * called outside of the loop: the session might end meanwhile. Such a handler answers late. */
static bool takes_long(const struct session *session)
{
    const struct loop *loop = session_loop(session);
    if (!loop->executor || loop->settings->handler->kind->session_begun)
        return false;
    if (session->cost == COST_UNKNOWN)
        return loop->now_ms < loop->alarm_until_ms;
    return session->cost > COST_DOUBTED;
}

/* False: out of memory, and the request is as it was. */
static bool execute_later(struct session *session, struct scratch *scratch)
{
    struct loop *loop = session_loop(session);
    struct request *request = scratch->request;
    if (!request_keep_message(request))
        return false;
    scratch->request = NULL;
    request->cost = session->cost;
    output_queue(session, request);
    session->active->stalled = request;
    if (executor_submit(loop->executor, request))
        monitor_wake(loop->monitor);
    return true;
}

/* Measuring goes on for as long as it finds what it looks for. */
static void take_measure(struct session *session, const struct call_sample *sample)
{
    session->cost = (uint8_t) call_sample_end(sample, session->cost);
    if (session->cost == COST_QUICK)
        atomic_store_explicit(&session_loop(session)->measures, false, memory_order_relaxed);
}

static enum step call_handler(struct session *session, struct scratch *scratch, const char *message,
                              size_t size)
{
    struct loop *loop = session_loop(session);
    struct handler *handler = loop->settings->handler;
    loop_count_request(loop);
    if (loop->transcript)
        log_put(loop->transcript, LOG_PROCESSING, session->number, message, size);
    if (loop->refusing) {
        output_error(session, scratch, PROTOCOL_STOPPING, OUTPUT_STOPPING_TEXT);
        return STEP_TAKEN;
    }
    if (!scratch->request && !(scratch->request = request_new())) {
        output_error(session, scratch, PROTOCOL_HANDLER_FAILED, "out of memory");
        return STEP_TAKEN;
    }
    request_start(scratch->request, loop, session, session->number, message, size);
    int64_t timeout = loop->settings->handler_timeout_ms;
    scratch->request->deadline_ms = timeout ? loop->now_ms + timeout : CLOCK_NEVER;
    if (!session->handler_data && handler->kind->session_begun)
        session->handler_data = handler->kind->session_begun(handler, session->number);
    scratch->request->session_data = session->handler_data;
    if (session->cost == COST_UNKNOWN)
        monitor_expect(loop->monitor);
    if (session->cost != COST_QUICK && takes_long(session) && execute_later(session, scratch))
        return STEP_TAKEN;

    struct call_sample sample;
    bool is_measured = atomic_load_explicit(&loop->measures, memory_order_relaxed);
    if (is_measured)
        call_sample_begin(&sample);
    uint64_t call = loop_call_begin(loop);
    handler->kind->handle(handler, scratch->request);
    if (!loop_call_end(loop, call))
        return STEP_LOST;
    if (is_measured)
        take_measure(session, &sample);
    else
        session->cost = COST_QUICK;

    switch (request_outcome(scratch->request)) {
    case REQUEST_ANSWERED:
        output_answered(session, scratch);
        break;
    case REQUEST_FORGOTTEN:
        output_error(session, scratch, PROTOCOL_HANDLER_FAILED, "the handler has not answered");
        break;
    case REQUEST_HELD:
        keep_held(session, scratch);
        break;
    }
    return STEP_TAKEN;
}

/* Takes one thing from the input. */
static enum step take_next(struct session *session, struct scratch *scratch)
{
    const struct frame_rules *rules = &session_loop(session)->settings->rules;
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
        if (rules->codec == FRAME_RAW || !protocol_is_quit(frame.message, frame.size))
            return call_handler(session, scratch, frame.message, frame.size);
        take_quit(session);
        return STEP_TAKEN;
    case FRAME_OVERSIZE:
        take_too_long(session, scratch);
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
           monitor_clock_ms(session_loop(session)->monitor) - scratch->begun_ms >= TURN_MS;
}

bool input_run(struct session *session, struct pool_thread *thread, bool readable)
{
    struct scratch *scratch = pool_scratch(thread);
    if (!input_open(session) || !session_activate(session) || !begin_input(session, scratch))
        return true;
    bool may_read = readable || session->draining;
    if (may_read && input_wants_bytes(session))
        read_once(session, scratch->reading);

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
