/* deadlines: one timer a session, and what is done when it goes off. */
#include "server/session/deadlines.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/session/input.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/session/output.h"
#include "server/request_owner.h"
#include "server/session/session.h"

/* A half received request's time runs while the server reads, and stands still while it does
 * not. */
void deadlines_update_partial(struct session *session)
{
    struct session_active *active = session->active;
    int64_t timeout = session_loop(session)->settings->request_timeout_ms;
    if (!active)
        return;
    bool partial = timeout && !session->unparsed && !session->input_over && !session->draining &&
                   frame_is_partial(&active->decoder, buffer_size(&active->input));
    if (!partial) {
        active->partial_deadline_ms = CLOCK_NEVER;
        active->partial_left_ms = 0;
        return;
    }
    int64_t now = session_loop(session)->now_ms;
    bool reads = input_wants_bytes(session);
    if (active->partial_left_ms == 0) {
        active->partial_left_ms = timeout;
        active->partial_deadline_ms = CLOCK_NEVER;
    }
    if (reads && active->partial_deadline_ms == CLOCK_NEVER) {
        active->partial_deadline_ms = now + active->partial_left_ms;
    } else if (!reads && active->partial_deadline_ms != CLOCK_NEVER) {
        int64_t rest = active->partial_deadline_ms - now;
        active->partial_left_ms = rest > 0 ? rest : 1;
        active->partial_deadline_ms = CLOCK_NEVER;
    }
}

static int64_t handler_deadline(const struct session *session)
{
    /* The requests' times began in their order, so the first one that is not ready ends first. */
    for (const struct request *request = session->active->first; request; request = request->next)
        if (!request->ready)
            return request->deadline_ms;
    return CLOCK_NEVER;
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t deadline(const struct session *session)
{
    const struct settings *settings = session_loop(session)->settings;
    if (session->closing)
        return (int64_t) session->since_ms + SESSION_LINGER_MS;
    if (session_is_idle(session))
        return settings->idle_timeout_ms ? (int64_t) session->since_ms + settings->idle_timeout_ms
                                         : CLOCK_NEVER;
    int64_t at = earlier(session->active->partial_deadline_ms, handler_deadline(session));
    return output_unsent(session) ? earlier(at, session->active->write_deadline_ms) : at;
}

/* A timer that goes off too early finds nothing due and is armed anew; so a deadline that moves
 * away, as it does with each request, costs nothing. */
void deadlines_arm(struct session *session)
{
    int64_t at = deadline(session);
    if (at < heap_key(&session_loop(session)->deadlines, &session->deadline))
        heap_put(&session_loop(session)->deadlines, &session->deadline, at);
}

/* ---- what is due ---- */

static void log_timeout(struct session *session, enum log_event event, int64_t ms)
{
    char text[40];
    int size = snprintf(text, sizeof text, "%lld ms", (long long) ms);
    log_put(session_loop(session)->log, event, session->number, text, (size_t) size);
}

static void overrule_late(struct session *session)
{
    const struct settings *settings = session_loop(session)->settings;
    for (struct request *request = session->active->first; request; request = request->next) {
        if (request->ready || request->deadline_ms > session_loop(session)->now_ms)
            continue;
        /* Where the handler has just been quicker, its answer is on its way through the inbox. */
        if (output_overrule(request, PROTOCOL_HANDLER_TIMEOUT,
                             "the handler has not answered in time"))
            log_timeout(session, LOG_HANDLER_TIMEOUT, settings->handler_timeout_ms);
        else
            request->deadline_ms = CLOCK_NEVER;
    }
}

/* epoll reports room only when there is much of it, so a reader that is merely slow may not have
 * been seen. */
static bool write_is_late(struct session *session)
{
    if (!output_unsent(session) ||
        session->active->write_deadline_ms > session_loop(session)->now_ms)
        return false;
    output_flush(session);
    return output_unsent(session) &&
           session->active->write_deadline_ms <= session_loop(session)->now_ms;
}

static void time_out_idle(struct session *session, struct scratch *scratch)
{
    if (!input_wants_bytes(session)) {
        /* The handler is full: the client may have asked, and has not been read. */
        session->since_ms = (uint64_t) session_loop(session)->now_ms;
        return;
    }
    log_timeout(session, LOG_IDLE, session_loop(session)->settings->idle_timeout_ms);
    output_unasked(session, scratch, PROTOCOL_IDLE, "nothing was asked for too long");
    session->input_over = true;
}

static void time_out_work(struct session *session, struct scratch *scratch)
{
    struct session_active *active = session->active;
    overrule_late(session);
    if (active->partial_deadline_ms <= session_loop(session)->now_ms)
        input_end(session, scratch, "it did not come in time");
}

bool deadlines_pass(struct session *session, struct scratch *scratch)
{
    if (deadline(session) > session_loop(session)->now_ms) {
        deadlines_arm(session);
        return false;
    }
    if (session->closing) {
        session_close(session);
        return false;
    }
    if (write_is_late(session)) {
        log_timeout(session, LOG_WRITE_TIMEOUT, session_loop(session)->settings->write_timeout_ms);
        session_close(session);
        return false;
    }
    if (session_is_idle(session))
        time_out_idle(session, scratch);
    else if (session->active)
        time_out_work(session, scratch);
    return true;
}
