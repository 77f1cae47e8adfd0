/* relay: both ways, and what a relay waits for. */
#include "server/session/relay.h"

#include <sys/epoll.h>

#include "common/clock.h"
#include "server/session/deadlines.h"
#include "server/session/input.h"
#include "server/session/output.h"
#include "server/session/pipes.h"
#include "server/session/session.h"
#include "server/session/shard.h"
#include "server/session/socket.h"

/* This much may be unsent while the client is still read. The program's part of it is
 * SESSION_MAX_UNSENT: what is left is for errors, so that they alone can't stop the client. */
enum { MAX_UNSENT = 2 * SESSION_MAX_UNSENT };

/* ---- beginning and end ---- */

bool relay_begin(struct session *session)
{
    if (!session_activate(session))
        return false;
    session->active->unsent_allowed = MAX_UNSENT;
    return pipes_begin(session);
}

void relay_started(struct session *session)
{
    session->pipes->has_started = true;
    session->since_ms = (uint64_t) session_shard(session)->loop.now_ms;
}

void relay_end(struct session *session)
{
    session->input_over = true;
    session->active->unsent_allowed = 0;
    pipes_end(session);
}

void relay_drain(struct session *session)
{
    const struct pipes *pipes = session->pipes;
    if (session->input_over && !pipes->has_started && buffer_size(&pipes->input) == 0)
        relay_end(session);
}

/* ---- the program's output ---- */

/* Whether it may be read. */
static bool wants_output(const struct session *session)
{
    const struct pipes *pipes = session->pipes;
    return pipes->has_started && !pipes->output_over &&
           buffer_size(&session->active->output) < SESSION_MAX_UNSENT;
}

bool relay_event(struct session *session, struct scratch *scratch, uint32_t events)
{
    bool has_written = events & (EPOLLIN | EPOLLHUP);
    if (has_written && (session->pipes->has_ended || !wants_output(session))) {
        pipes_watch_output(session, false);
        has_written = false;
    }
    if (has_written)
        pipes_read(session, scratch);
    return has_written || (events & (EPOLLOUT | EPOLLERR));
}

void relay_read_rest(struct session *session, struct scratch *scratch)
{
    if (session->pipes->has_ended && wants_output(session))
        pipes_read(session, scratch);
}

/* ---- the end of a turn ---- */

/* When nothing has come either way for too long. A program that does not read is silent, too. */
static int64_t idle_deadline(const struct session *session)
{
    int64_t timeout = session_shard(session)->shared->settings.config.idle_timeout_ms;
    bool is_silent = !output_unsent(session) &&
                     !(session_is_partial(session->active) && input_wants_bytes(session));
    return timeout && is_silent ? (int64_t) session->since_ms + timeout : CLOCK_NEVER;
}

/* Not inlined, so that what it needs costs the end of the other sessions' turns nothing. */
__attribute__((noinline)) void relay_go_on(struct session *session)
{
    struct pipes *pipes = session->pipes;
    if (session->broken)
        return;
    pipes_write(session);
    if (pipes->output_over) {
        relay_end(session);
        return;
    }
    bool has_room = pipes_have_room(session);
    if (session->input_over)
        pipes_end_input(session);
    else if (has_room)
        pipes->end_ms = CLOCK_NEVER;
    else if (pipes->end_ms == CLOCK_NEVER)
        pipes_put_off_end(session);
    if (wants_output(session) && !pipes->has_ended)
        pipes_watch_output(session, true);
    else if (wants_output(session))
        loop_ready(&session_shard(session)->loop, &session->active->ready);
    session->active->unsent_allowed = has_room ? MAX_UNSENT : -1;
    deadlines_put(session, clock_earlier(pipes->end_ms, idle_deadline(session)));
}

enum relay_due relay_due(struct session *session)
{
    const struct session_active *active = session->active;
    const struct loop *loop = &session_shard(session)->loop;
    int64_t looked_ms = loop->looked_ms;
    if (!session->pipes->has_started)
        session->since_ms = (uint64_t) loop->now_ms; /* it is not the client's silence */
    if (session->pipes->end_ms <= looked_ms && !session->input_over && !socket_has_ended(session))
        pipes_put_off_end(session);
    return deadlines_write_is_over(session)           ? RELAY_DUE_WRITE
           : active->partial_deadline_ms <= looked_ms ? RELAY_DUE_PARTIAL
           : session->pipes->end_ms <= looked_ms      ? RELAY_DUE_END
           : idle_deadline(session) <= looked_ms      ? RELAY_DUE_IDLE
                                                      : RELAY_DUE_NOTHING;
}
