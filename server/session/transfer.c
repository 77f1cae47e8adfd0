/* transfer: sockets between threads. */
#include "server/session/transfer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/engine/scaler.h"
#include "server/log/log.h"
#include "server/net/admission.h"
#include "server/net/tls.h"
#include "server/session/close.h"

/* Who speaks TLS is who its certificate says; else whoever it is without. */
static bool init_wrapped(struct peer *peer, const struct accepted *accepted,
                         const struct address *listener)
{
    struct peer plain;
    struct peer_text text = {0};
    struct peer_facts facts = {0};
    const char *subject = accepted->tls->names ? accepted->tls->names->subject : NULL;
    if (accepted->header) {
        facts = peer_told(accepted->header);
    } else {
        if (!peer_init(&plain, &accepted->address, accepted->fd))
            return false;
        bool is_unix = accepted->address.socket.any.sa_family == AF_UNIX;
        peer_describe(&plain, listener, &text);
        facts.address = is_unix ? listener : &accepted->address;
        facts.identity = text.identity;
        facts.key = peer_tally_key(&plain, listener);
        peer_fini(&plain, listener);
    }
    if (subject)
        facts.identity = subject;
    facts.tls = accepted->tls;
    return peer_init_facts(peer, &facts);
}

static bool init_peer(struct peer *peer, const struct accepted *accepted,
                      const struct shared *shared)
{
    const struct listener *listener = &shared->acceptor->listeners.items[accepted->listener];
    if (accepted->tls)
        return init_wrapped(peer, accepted, &listener->address);
    if (!accepted->header)
        return peer_init(peer, &accepted->address, accepted->fd);
    struct peer_facts facts = peer_told(accepted->header);
    return peer_init_facts(peer, &facts);
}

struct transfer *transfer_new(const struct accepted *accepted, const struct shared *shared)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer || !init_peer(&transfer->peer, accepted, shared)) {
        free(transfer);
        return NULL;
    }
    bool is_any = accepted->header || accepted->tls;
    transfer->node.kind = INBOX_TRANSFER;
    transfer->fd = accepted->fd;
    transfer->wrapped = accepted->tls;
    transfer->listener = (uint8_t) (is_any ? LISTENER_OF_ANY : accepted->listener);
    return transfer;
}

static const struct address *listener_of(const struct transfer *transfer,
                                         const struct shared *shared)
{
    return &shared->acceptor->listeners.items[transfer->listener].address;
}

void transfer_describe_peer(const struct transfer *transfer, const struct shared *shared,
                            struct peer_text *text)
{
    peer_describe(&transfer->peer, listener_of(transfer, shared), text);
}

struct tally_key transfer_tally_key(const struct transfer *transfer, const struct shared *shared)
{
    return peer_tally_key(&transfer->peer, listener_of(transfer, shared));
}

void transfer_free(struct transfer *transfer, const struct shared *shared)
{
    if (transfer->wrapped) {
        struct tls_client *tls = peer_tls(&transfer->peer);
        tls->library->free(tls);
    }
    close(transfer->fd);
    peer_fini(&transfer->peer, listener_of(transfer, shared));
    free(transfer);
}

/* ---- at the end of the way ---- */

/* Memory is out: it ends before it has begun. */
static void turn_away(struct transfer *transfer, struct shard *shard)
{
    static const char why[] = "out of memory";
    log_put(shard->log, LOG_BROKEN, transfer->number, why, sizeof why - 1);
    if (transfer->number)
        shard_client_left(shard->shared, &transfer->peer, transfer->listener);
    else
        admission_refused_left(shard->shared->admission);
    transfer_free(transfer, shard->shared);
}

struct session *transfer_end(struct transfer *transfer, struct shard *shard, bool *is_new)
{
    struct session *session = store_take(&shard->store, shard);
    if (!session || !heap_reserve(&shard->loop.deadlines, shard->store.count)) {
        if (session)
            store_put(&shard->store, session);
        turn_away(transfer, shard);
        return NULL;
    }
    session->fd = transfer->fd;
    session->number = transfer->number;
    session->counted = transfer->number != 0;
    session->peer = transfer->peer;
    session->listener = transfer->listener;
    session->wrapped = transfer->wrapped;
    session->since_ms = (uint64_t) shard->loop.now_ms;
    uint32_t *since_s = store_since(session);
    if (since_s)
        *since_s = transfer->has_moved ? transfer->since_s : (uint32_t) (shard->loop.now_ms / 1000);
    *is_new = !transfer->has_moved;
    if (transfer->has_moved) {
        session->cost = transfer->cost;
        session->relapses = transfer->relapses;
        session->crlf = transfer->crlf;
        session->begun = transfer->begun;
        session->taken = transfer->taken;
        session->since_ms = transfer->since_ms;
        log_nudge(shard->log); /* behind what the other shard has logged of it */
    }
    free(transfer);
    return session;
}

/* ---- to another shard ---- */

/* Whether nothing holds the session here: what a handler keeps of it may know its loop, and one
 * that is about to end need not move. */
static bool can_move(const struct session *session)
{
    return session->number && !session->active && !session->handler_data && !session->closed &&
           !session->closing && !session->input_over && !session->draining;
}

/* Its socket and its state go to another shard, and nothing is left but memory to be freed. What
 * the client sends meanwhile waits in the socket. */
static void move(struct session *session, struct shard *to)
{
    struct shard *shard = session_shard(session);
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer || !scaler_begin_move(shard->shared->scaler)) {
        free(transfer); /* leave it in this shard */
        return;
    }
    transfer->node.kind = INBOX_TRANSFER;
    transfer->number = session->number;
    transfer->peer = session->peer;
    transfer->fd = session->fd;
    transfer->listener = session->listener;
    transfer->wrapped = session->wrapped;
    transfer->has_moved = true;
    transfer->cost = session->cost;
    transfer->relapses = session->relapses;
    transfer->crlf = session->crlf;
    transfer->begun = session->begun;
    transfer->taken = session->taken;
    transfer->since_ms = session->since_ms;
    const uint32_t *since_s = store_since(session);
    transfer->since_s = since_s ? *since_s : 0;
    session->peer = (struct peer){0};
    close_leave(session);
    counter_add(&shard->counters.moved, 1);
    log_nudge(shard->log); /* what was logged of it comes before what the other shard will log */
    loop_post(&to->loop, &transfer->node);
    scaler_end_move(shard->shared->scaler);
}

void transfer_if_reassigned(struct session *session)
{
    const struct shared *shared = session_shard(session)->shared;
    struct shard *assigned = &shared->shards[scaler_assigned(shared->scaler, session->number)];
    if (assigned != session_shard(session) && can_move(session))
        move(session, assigned);
}
