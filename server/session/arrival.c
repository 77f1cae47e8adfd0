/* arrival: sockets between loops. */
#include "server/session/arrival.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/engine/balance.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/server.h"
#include "server/session/session.h"

struct arrival *arrival_new(int fd, uint64_t number, const struct address *address,
                            uint16_t listener)
{
    struct arrival *arrival = malloc(sizeof *arrival);
    if (!arrival || !peer_init(&arrival->peer, address)) {
        free(arrival);
        return NULL;
    }
    arrival->node.kind = INBOX_ARRIVAL;
    arrival->number = number;
    arrival->fd = fd;
    arrival->listener = listener;
    arrival->has_moved = false;
    return arrival;
}

void arrival_free(struct arrival *arrival, const struct loop *loop)
{
    close(arrival->fd);
    peer_fini(&arrival->peer, server_address(loop->server, arrival->listener));
    free(arrival);
}

/* ---- at the end of the way ---- */

/* Memory is out: it ends before it has begun. */
static void turn_away(struct arrival *arrival, struct loop *loop)
{
    static const char why[] = "out of memory";
    log_put(loop->log, LOG_BROKEN, arrival->number, why, sizeof why - 1);
    if (arrival->number)
        server_client_left(loop->server);
    else
        server_refused_left(loop->server);
    arrival_free(arrival, loop);
}

void arrival_end(struct arrival *arrival, struct loop *loop, struct turn *turn)
{
    struct session *session = session_store_take(&loop->sessions, loop);
    if (!session || !timers_reserve(&loop->timers, loop->sessions.count)) {
        if (session)
            session_store_put(&loop->sessions, session);
        turn_away(arrival, loop);
        return;
    }
    session->fd = arrival->fd;
    session->number = arrival->number;
    session->counted = arrival->number != 0;
    session->peer = arrival->peer;
    session->listener = arrival->listener;
    session->since_ms = (uint64_t) loop->now_ms;
    const bool has_moved = arrival->has_moved;
    if (has_moved) {
        session->pace = arrival->pace;
        session->since_ms = arrival->since_ms;
        log_nudge(loop->log); /* behind what the other loop has logged of it */
    }
    free(arrival);
    session_begin(session, !has_moved, turn);
}

/* ---- to another loop ---- */

/* Whether nothing holds the session here: what a handler keeps of it may know its loop, and one that
 * is about to end need not move. */
static bool can_move(const struct session *session)
{
    return session->number && !session->work && !session->handler_data && !session->closed &&
           !session->closing && !session->input_over && !session->draining;
}

/* Its socket and its state go to another loop, and nothing is left but memory to be freed. What the
 * client sends meanwhile waits in the socket. */
static void move(struct session *session, struct loop *to)
{
    struct loop *loop = session_loop(session);
    struct arrival *arrival = malloc(sizeof *arrival);
    if (!arrival || !balance_begin_move(loop->balance)) {
        free(arrival); /* it is well where it is */
        return;
    }
    *arrival = (struct arrival){
        .node.kind = INBOX_ARRIVAL,
        .number = session->number,
        .peer = session->peer,
        .fd = session->fd,
        .listener = session->listener,
        .has_moved = true,
        .pace = session->pace,
        .since_ms = session->since_ms,
    };
    session->peer = (struct peer){0};
    session_leave(session);
    log_nudge(loop->log); /* what was logged of it comes before what the other loop will log */
    loop_post(to, &arrival->node);
    balance_end_move(loop->balance);
}

void arrival_go_home(struct session *session)
{
    struct balance *balance = session_loop(session)->balance;
    struct loop *home = &balance->loops[balance_home(balance, session->number)];
    if (home != session_loop(session) && can_move(session))
        move(session, home);
}
