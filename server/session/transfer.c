/* arrival: sockets between loops. */
#include "server/session/transfer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/engine/scaler.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/server.h"
#include "server/session/session.h"

struct transfer *transfer_new(int fd, uint64_t number, const struct address *address,
                            uint16_t listener)
{
    struct transfer *transfer = malloc(sizeof *transfer);
    if (!transfer || !peer_init(&transfer->peer, address)) {
        free(transfer);
        return NULL;
    }
    transfer->node.kind = INBOX_TRANSFER;
    transfer->number = number;
    transfer->fd = fd;
    transfer->listener = listener;
    transfer->has_moved = false;
    return transfer;
}

void transfer_free(struct transfer *transfer, const struct loop *loop)
{
    close(transfer->fd);
    peer_fini(&transfer->peer, server_address(loop->server, transfer->listener));
    free(transfer);
}

/* ---- at the end of the way ---- */

/* Memory is out: it ends before it has begun. */
static void turn_away(struct transfer *transfer, struct loop *loop)
{
    static const char why[] = "out of memory";
    log_put(loop->log, LOG_BROKEN, transfer->number, why, sizeof why - 1);
    if (transfer->number)
        server_client_left(loop->server);
    else
        server_refused_left(loop->server);
    transfer_free(transfer, loop);
}

void transfer_end(struct transfer *transfer, struct loop *loop, struct scratch *scratch)
{
    struct session *session = session_store_take(&loop->sessions, loop);
    if (!session || !heap_reserve(&loop->deadlines, loop->sessions.count)) {
        if (session)
            session_store_put(&loop->sessions, session);
        turn_away(transfer, loop);
        return;
    }
    session->fd = transfer->fd;
    session->number = transfer->number;
    session->counted = transfer->number != 0;
    session->peer = transfer->peer;
    session->listener = transfer->listener;
    session->since_ms = (uint64_t) loop->now_ms;
    const bool has_moved = transfer->has_moved;
    if (has_moved) {
        session->cost = transfer->cost;
        session->since_ms = transfer->since_ms;
        log_nudge(loop->log); /* behind what the other loop has logged of it */
    }
    free(transfer);
    session_begin(session, !has_moved, scratch);
}

/* ---- to another loop ---- */

/* Whether nothing holds the session here: what a handler keeps of it may know its loop, and one that
 * is about to end need not move. */
static bool can_move(const struct session *session)
{
    return session->number && !session->active && !session->handler_data && !session->closed &&
           !session->closing && !session->input_over && !session->draining;
}

/* Its socket and its state go to another loop, and nothing is left but memory to be freed. What the
 * client sends meanwhile waits in the socket. */
static void move(struct session *session, struct loop *to)
{
    struct loop *loop = session_loop(session);
    struct transfer *transfer = malloc(sizeof *transfer);
    if (!transfer || !scaler_begin_move(loop->scaler)) {
        free(transfer); /* it is well where it is */
        return;
    }
    *transfer = (struct transfer){
        .node.kind = INBOX_TRANSFER,
        .number = session->number,
        .peer = session->peer,
        .fd = session->fd,
        .listener = session->listener,
        .has_moved = true,
        .cost = session->cost,
        .since_ms = session->since_ms,
    };
    session->peer = (struct peer){0};
    session_leave(session);
    log_nudge(loop->log); /* what was logged of it comes before what the other loop will log */
    loop_post(to, &transfer->node);
    scaler_end_move(loop->scaler);
}

void transfer_if_reassigned(struct session *session)
{
    struct scaler *scaler = session_loop(session)->scaler;
    struct loop *home = &scaler->loops[scaler_assigned(scaler, session->number)];
    if (home != session_loop(session) && can_move(session))
        move(session, home);
}
