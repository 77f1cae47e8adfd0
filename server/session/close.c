/* close: at once, in order, by leaving. */
#include "server/session/close.h"

#include "server/handler.h"
#include "server/net/admission.h"
#include "server/session/output.h"
#include "server/session/pipes.h"
#include "server/session/session.h"
#include "server/session/shard.h"
#include "server/session/socket.h"

enum { SCRAP_BYTES = 64 << 10 };

/* Before the client can see its session end: when it does, there is room for the next one. */
static void uncount(struct session *session)
{
    if (session->counted)
        shard_client_left(session_shard(session)->shared, &session->peer, session->listener);
    session->counted = false;
}

void close_leave(struct session *session)
{
    struct shard *shard = session_shard(session);
    loop_unwatch(&shard->loop, session->fd);
    heap_remove(&shard->loop.deadlines, &session->deadline);
    if (session->closing) {
        linger_remove(&shard->linger, session);
        admission_lingered(shard->shared->admission);
    }
    session->closed = true;
    SLIST_INSERT_HEAD(&shard->dead, session, dead_entry);
}

void close_now(struct session *session)
{
    const struct shared *shared = session_shard(session)->shared;
    uncount(session);
    output_cancel(session);
    session_deactivate(session);
    close_leave(session);
    socket_close(session);
    if (!session->number)
        admission_refused_left(shared->admission);
    struct handler *handler = shared->settings.config.handler;
    if (session_is_relay(session))
        pipes_end(session);
    else if (session->handler_data)
        handler->kind->session_ended(handler, session->handler_data);
    session_log_peer(session, LOG_CLOSED);
}

static void linger(struct session *session)
{
    struct shard *shard = session_shard(session);
    bool is_full = linger_count(&shard->linger) == LINGER_MAX;
    if (is_full && !shard->draining)
        close_now(linger_oldest(&shard->linger));
    session->closing = true;
    session->since_ms = (uint64_t) shard->loop.now_ms;
    /* At a stop all linger at once, and nobody comes for whom there had to be room. */
    if (!is_full || !shard->draining)
        linger_add(&shard->linger, session);
    admission_lingers(shard->shared->admission);
}

void close_lingering(struct shard *shard)
{
    struct session *session;
    while (admission_is_crowded(shard->shared->admission) &&
           (session = linger_oldest(&shard->linger)))
        close_now(session);
}

void close_in_order(struct session *session)
{
    uncount(session);
    session_deactivate(session);
    if (session->eof || !socket_shutdown(session)) {
        close_now(session);
        return;
    }
    linger(session);
}

void close_linger(struct session *session, struct scratch *scratch)
{
    ssize_t got = -1;
    errno = ENOMEM;
    if (buffer_reserve(&scratch->input, SCRAP_BYTES))
        got = socket_discard(session, buffer_tail(&scratch->input), SCRAP_BYTES);
    if (got == 0 || (got < 0 && !socket_would_block()))
        close_now(session);
}
