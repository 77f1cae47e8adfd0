/* deadlines: of each state a session can be in. */
#include "server/session/deadlines.h"

#include "common/clock.h"
#include "server/request_owner.h"
#include "server/session/input.h"
#include "server/session/output.h"
#include "server/session/pipes.h"
#include "server/session/session.h"
#include "server/session/shard.h"

static const struct server_config *config_of(const struct session *session)
{
    return &session_shard(session)->shared->settings.config;
}

static int64_t now_ms(const struct session *session) { return session_shard(session)->loop.now_ms; }

static int64_t looked_ms(const struct session *session)
{
    return session_shard(session)->loop.looked_ms;
}

/* A half received request's time runs while the server reads, and stands still otherwise. */
void deadlines_update_partial(struct session *session)
{
    struct session_active *active = session->active;
    int64_t timeout = config_of(session)->request_timeout_ms;
    if (!active)
        return;
    bool partial = timeout && !session->unparsed && !session->input_over && !session->draining &&
                   session_is_partial(active);
    if (!partial) {
        active->partial_deadline_ms = CLOCK_NEVER;
        active->partial_left_ms = 0;
        return;
    }
    bool reads = input_wants_bytes(session);
    if (active->partial_left_ms == 0) {
        active->partial_left_ms = timeout;
        active->partial_deadline_ms = CLOCK_NEVER;
    }
    if (reads && active->partial_deadline_ms == CLOCK_NEVER) {
        active->partial_deadline_ms = now_ms(session) + active->partial_left_ms;
    } else if (!reads && active->partial_deadline_ms != CLOCK_NEVER) {
        int64_t left = active->partial_deadline_ms - now_ms(session);
        active->partial_left_ms = left > 0 ? left : 1;
        active->partial_deadline_ms = CLOCK_NEVER;
    }
}

static int64_t handler_deadline(const struct session *session)
{
    /* The requests' times began in their order, so the first one that is not ready ends first. */
    const struct request *request;
    STAILQ_FOREACH(request, &session->active->requests, entry)
        if (!request->ready)
            return request_deadline_at(request, now_ms(session));
    return CLOCK_NEVER;
}

static int64_t next_deadline(const struct session *session)
{
    if (session->closing)
        return (int64_t) session->since_ms + SESSION_LINGER_MS;
    if (session_is_idle(session)) {
        int64_t timeout = config_of(session)->idle_timeout_ms;
        return timeout ? (int64_t) session->since_ms + timeout : CLOCK_NEVER;
    }
    int64_t at = clock_earlier(session->active->partial_deadline_ms, handler_deadline(session));
    return output_unsent(session) ? clock_earlier(at, session->active->write_deadline_ms) : at;
}

void deadlines_put(struct session *session, int64_t at_ms)
{
    struct heap *heap = &session_shard(session)->loop.deadlines;
    if (at_ms < heap_key(heap, &session->deadline))
        heap_put(heap, &session->deadline, at_ms);
}

void deadlines_arm(struct session *session) { deadlines_put(session, next_deadline(session)); }

static int64_t postponed(int64_t at_ms, int64_t ms)
{
    return at_ms == CLOCK_NEVER ? CLOCK_NEVER : at_ms + ms;
}

void deadlines_postpone(struct session *session, int64_t ms)
{
    struct session_active *active = session->active;
    struct request *request;
    session->since_ms += (uint64_t) ms;
    if (session_is_relay(session))
        session->pipes->end_ms = postponed(session->pipes->end_ms, ms);
    if (!active)
        return;
    active->partial_deadline_ms = postponed(active->partial_deadline_ms, ms);
    active->write_deadline_ms = postponed(active->write_deadline_ms, ms);
    STAILQ_FOREACH(request, &active->requests, entry)
        request_postpone(request, ms);
}

bool deadlines_write_is_over(const struct session *session)
{
    return output_unsent(session) && session->active->write_deadline_ms <= looked_ms(session);
}

enum due deadlines_due(const struct session *session)
{
    if (next_deadline(session) > looked_ms(session))
        return DUE_NOTHING;
    if (session->closing)
        return DUE_LINGER;
    if (deadlines_write_is_over(session))
        return DUE_WRITE;
    return session_is_idle(session) ? DUE_IDLE : DUE_ACTIVE;
}
