/* deal: see deal.h. */
#include "server/deal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/protocol.h"
#include "server/engine/scaler.h"
#include "server/handler.h"
#include "server/log/log.h"
#include "server/net/access.h"
#include "server/net/admission.h"
#include "server/net/lobby.h"
#include "server/net/proxy.h"
#include "server/net/tally.h"
#include "server/net/tls.h"
#include "server/session/turn.h"

/* ---- refusals ---- */

/* `why` is that of a denial. */
static void log_refusal(const struct shared *shared, const struct transfer *transfer,
                        const char *why)
{
    enum admission_refusal refusal = transfer->refusal;
    struct peer_text peer;
    transfer_describe_peer(transfer, shared, &peer);
    if (refusal == ADMISSION_BUSY)
        log_tell(shared->log, LOG_BUSY, 0, "%s", peer.address);
    else if (refusal == ADMISSION_ADDRESS_BUSY)
        log_tell(shared->log, LOG_ADDRESS_BUSY, 0, "%s%c%s", peer.address, LOG_SEPARATOR,
                 peer.identity);
    else
        log_tell(shared->log, LOG_DENIED, 0, "%s%c%s%c%s", peer.address, LOG_SEPARATOR,
                 peer.identity, LOG_SEPARATOR, why);
}

/* Too many are being refused in order already: this one reads it as it is, and is closed. */
static void refuse_at_once(struct transfer *transfer, const struct shared *shared)
{
    struct buffer frame = {0};
    if (transfer->wrapped) { /* it sees that it was closed in order */
        struct tls_client *tls = peer_tls(&transfer->peer);
        tls->library->end(tls, transfer->fd);
        transfer_free(transfer, shared);
        return;
    }
    const struct admission_words *words = admission_words(transfer->refusal);
    if (protocol_append_error(&frame, shared->settings.config.codec, words->code, words->text))
        (void) !send(transfer->fd, buffer_head(&frame), buffer_size(&frame),
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    buffer_fini(&frame);
    transfer_free(transfer, shared);
}

/* ---- admission ---- */

static bool allows(const struct shared *shared, const struct accepted *accepted, char *why)
{
    const struct proxy_header *header = accepted->header;
    const struct tls_names *names = accepted->tls ? accepted->tls->names : NULL;
    const struct who_certificate told = {.common_name = header ? header->common_name : NULL};
    const struct access_client client = {
        .address = header ? &header->address : &accepted->address,
        .fd = header ? -1 : accepted->fd,
        .certificate = names                              ? &names->certificate
                       : header && header->common_name[0] ? &told
                                                          : NULL,
    };
    return access_allows(shared->settings.config.access, &client, why);
}

/* Whether it may be a client; then it is counted, if it is not yet. */
static enum admission_refusal admit(const struct shared *shared, const struct accepted *accepted,
                                    const struct transfer *transfer, char *why)
{
    if (!allows(shared, accepted, why))
        return ADMISSION_DENIED;
    if (!shared->tally || accepted->is_tallied)
        return accepted->is_counted || admission_enter(shared->admission) ? ADMISSION_GRANTED
                                                                          : ADMISSION_BUSY;
    struct tally_key key = transfer_tally_key(transfer, shared);
    if (!tally_add(shared->tally, key))
        return ADMISSION_ADDRESS_BUSY;
    if (accepted->is_counted || admission_enter(shared->admission))
        return ADMISSION_GRANTED;
    tally_remove(shared->tally, key);
    return ADMISSION_BUSY;
}

/* It is in none of these counts any more. */
static void uncount(const struct shared *shared, const struct accepted *accepted)
{
    if (accepted->is_counted)
        admission_client_left(shared->admission);
    if (accepted->is_tallied)
        tally_remove(shared->tally, accepted->key);
}

/* A proxy's connection is judged when it is known whose it is, unless it has no room to wait.
 * False: it could not even be refused in order, and is gone. */
static bool judge(struct transfer *transfer, const struct shared *shared,
                  const struct accepted *accepted, bool is_full)
{
    char why[ACCESS_WHY_SIZE];
    transfer->refusal = accepted->is_refused ? ADMISSION_ADDRESS_BUSY
                        : is_full            ? ADMISSION_BUSY
                                             : admit(shared, accepted, transfer, why);
    if (transfer->refusal == ADMISSION_GRANTED) {
        transfer->number = admission_number(shared->admission);
        return true;
    }
    uncount(shared, accepted);
    log_refusal(shared, transfer, why);
    if (accepted->is_refused || admission_refuse(shared->admission))
        return true;
    refuse_at_once(transfer, shared);
    return false;
}

/* ---- the way to a shard ---- */

void deal_begin(struct transfer *transfer, struct shard *shard, struct scratch *scratch)
{
    bool is_new;
    enum admission_refusal refusal = transfer->refusal;
    struct session *session = transfer_end(transfer, shard, &is_new);
    if (!session)
        return;
    if (refusal != ADMISSION_GRANTED)
        turn_begin_refused(session, admission_words(refusal), scratch);
    else if (session_shard(session)->shared->settings.config.handler->relays)
        turn_begin_relay(session);
    else
        turn_begin(session, is_new);
}

/* Memory is out. */
static bool drop(const struct shared *shared, const struct accepted *accepted)
{
    uncount(shared, accepted);
    if (accepted->is_refused)
        admission_refused_left(shared->admission);
    if (accepted->tls)
        accepted->tls->library->free(accepted->tls);
    close(accepted->fd);
    errno = ENOMEM;
    return false;
}

static bool is_for_tls(const struct shared *shared, const struct accepted *accepted)
{
    return shared->acceptor->listeners.items[accepted->listener].is_tls;
}

/* What a listener's clients, or those of a proxy, must show first. */
static bool must_wait(const struct shared *shared, const struct accepted *accepted)
{
    return shared->lobby && !accepted->is_counted && !accepted->is_refused &&
           (is_for_tls(shared, accepted) ||
            access_is_proxy(shared->settings.config.access, &accepted->address));
}

/* There is no room to wait for a handshake, behind which it could be said. */
static bool close_unheard(const struct shared *shared, const struct accepted *accepted,
                          enum lobby_entry entry)
{
    char text[ADDRESS_TEXT_SIZE];
    const struct listener *listener = &shared->acceptor->listeners.items[accepted->listener];
    bool is_unix = accepted->address.socket.any.sa_family == AF_UNIX;
    address_print(is_unix ? &listener->address : &accepted->address, text);
    if (entry == LOBBY_FULL)
        log_tell(shared->log, LOG_BUSY, 0, "%s", text);
    else
        log_tell(shared->log, LOG_ADDRESS_BUSY, 0, "%s%c", text, LOG_SEPARATOR);
    close(accepted->fd);
    return true;
}

/* Who it is was asked, and a session keeps its identity. */
static void forget_names(const struct accepted *accepted)
{
    if (!accepted->tls)
        return;
    free(accepted->tls->names);
    accepted->tls->names = NULL;
}

bool deal(const struct shared *shared, const struct accepted *accepted, struct shard *shard,
          struct scratch *scratch)
{
    bool is_full = false;
    if (must_wait(shared, accepted)) {
        enum lobby_entry entry = lobby_enter(shared->lobby, accepted);
        if (entry == LOBBY_NO_MEMORY)
            return drop(shared, accepted);
        is_full = entry == LOBBY_FULL && !is_for_tls(shared, accepted);
        if (!is_full)
            return entry == LOBBY_ENTERED || close_unheard(shared, accepted, entry);
    }
    struct transfer *transfer = transfer_new(accepted, shared);
    if (!transfer)
        return drop(shared, accepted);
    if (!judge(transfer, shared, accepted, is_full))
        return true;
    forget_names(accepted);
    struct shard *to = &shared->shards[scaler_assigned(shared->scaler, transfer->number)];
    if (to == shard)
        deal_begin(transfer, shard, scratch);
    else
        loop_post(&to->loop, &transfer->node);
    return true;
}
