/* session: active and idle, and given up. */
#include "server/session/session.h"

#include <string.h>

#include "common/clock.h"
#include "server/net/acceptor.h"

bool session_is_idle(const struct session *session)
{
    const struct session_active *active = session->active;
    return !active ||
           (STAILQ_EMPTY(&active->requests) && buffer_size(&active->output) == 0 &&
            !session->unparsed && !session_is_partial(active) && active->drain_left == 0);
}

struct session_active *session_activate(struct session *session)
{
    struct session_active *active = session->active;
    if (active)
        return active;
    active = store_lend(&session_shard(session)->store);
    if (!active) {
        session_break(session, "out of memory");
        return NULL;
    }
    active->session = session;
    active->partial_deadline_ms = CLOCK_NEVER;
    STAILQ_INIT(&active->requests);
    session->active = active;
    return active;
}

void session_deactivate(struct session *session)
{
    struct shard *shard = session_shard(session);
    struct session_active *active = session->active;
    if (!active)
        return;
    session->active = NULL;
    loop_unready(&shard->loop, &active->ready);
    buffer_fini(&active->input);
    buffer_fini(&active->output);
    store_return(&shard->store, active);
}

void session_break(struct session *session, const char *why)
{
    session->broken = true;
    if (why)
        log_put(session_shard(session)->log, LOG_BROKEN, session->number, why, strlen(why));
}

static const struct address *listener_of(const struct session *session)
{
    const struct listeners *listeners = &session_shard(session)->shared->acceptor->listeners;
    return &listeners->items[session->listener].address;
}

void session_describe_peer(const struct session *session, struct peer_text *text)
{
    peer_describe(&session->peer, listener_of(session), text);
}

void session_log_peer(struct session *session, enum log_event event)
{
    const struct shard *shard = session_shard(session);
    struct peer_text peer = {0};
    char text[sizeof peer + sizeof " as "];
    if (!session->number)
        return;
    if (log_wants(shard->shared->log, event))
        session_describe_peer(session, &peer);
    char *end = stpcpy(text, peer.address);
    if (event == LOG_CONNECTED && peer.identity[0])
        end = stpcpy(stpcpy(end, " as "), peer.identity);
    log_put(shard->log, event, session->number, text, (size_t) (end - text));
}
