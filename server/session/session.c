/* session: active and idle, and given up. */
#include "server/session/session.h"

#include <string.h>

#include "common/clock.h"
#include "server/net/acceptor.h"
#include "server/session/socket.h"

bool session_is_idle(const struct session *session)
{
    const struct session_active *active = session->active;
    return !active || (STAILQ_EMPTY(&active->requests) && buffer_size(&active->output) == 0 &&
                       !session->unparsed && !session_is_partial(active) &&
                       active->drain_left == 0 && !socket_holds(session));
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

/* Whether memory that it holds can only be given back once its client has sent more. */
static bool needs_reading(const struct session_active *active)
{
    return session_is_partial(active) && STAILQ_EMPTY(&active->requests) &&
           buffer_size(&active->output) == 0;
}

static __attribute__((noinline)) void unchoose(struct session *session)
{
    const struct shared *shared = session_shard(session)->shared;
    session->active->chosen = false;
    if (memory_unchoose(shared->memory))
        shard_resume_all(shared);
}

static __attribute__((noinline)) bool is_barred(const struct session *session)
{
    struct memory *memory = session_shard(session)->shared->memory;
    struct session_active *active = session->active;
    enum memory_level level = memory_level(memory);
    if (session->draining || (level == MEMORY_SHORT && active->held <= SESSION_LITTLE))
        return false;
    active->chosen = needs_reading(active) && memory_choose(memory, session->number);
    return !active->chosen && memory_wait(memory, level);
}

void session_count_held(struct session *session)
{
    struct session_active *active = session->active;
    size_t held = buffer_memory(&active->input) + buffer_memory(&active->output) + active->replies +
                  active->messages;
    if (held != active->held)
        shard_hold(session_shard(session), (ptrdiff_t) (held - active->held));
    active->held = held;
    if (active->chosen && !needs_reading(active))
        unchoose(session);
    active->barred =
        memory_level(session_shard(session)->shared->memory) != MEMORY_FREE && is_barred(session);
}

void session_deactivate(struct session *session)
{
    struct shard *shard = session_shard(session);
    struct session_active *active = session->active;
    if (!active)
        return;
    if (active->chosen)
        unchoose(session);
    if (active->held > 0)
        shard_hold(shard, -(ptrdiff_t) active->held);
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
    char text[sizeof peer];
    if (!session->number)
        return;
    if (log_wants(shard->shared->log, event))
        session_describe_peer(session, &peer);
    char *end = stpcpy(text, peer.address);
    if (event == LOG_CONNECTED && peer.identity[0])
        end = stpcpy(end + 1, peer.identity); /* LOG_SEPARATOR is the NUL between them */
    log_put(shard->log, event, session->number, text, (size_t) (end - text));
}
