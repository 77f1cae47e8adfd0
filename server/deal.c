/* deal: see deal.h. */
#include "server/deal.h"

#include <errno.h>
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
    const struct who_certificate certificate = {.common_name = header ? header->common_name : NULL};
    const struct access_client client = {
        .address = header ? &header->address : &accepted->address,
        .fd = header ? -1 : accepted->fd,
        .certificate = header && header->common_name[0] ? &certificate : NULL,
    };
    return access_allows(shared->settings.config.access, &client, why);
}

/* Whether it may be a client; then it is counted, if it is not yet. */
static enum admission_refusal admit(const struct shared *shared, const struct accepted *accepted,
                                    const struct transfer *transfer, char *why)
{
    if (!allows(shared, accepted, why))
        return ADMISSION_DENIED;
    if (!shared->tally)
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

/* A proxy's connection is judged when it is known whose it is, unless it has no room to wait.
 * False: it could not even be refused in order, and is gone. */
static bool judge(struct transfer *transfer, const struct shared *shared,
                  const struct accepted *accepted, bool is_full)
{
    char why[ACCESS_WHY_SIZE];
    transfer->refusal = is_full ? ADMISSION_BUSY : admit(shared, accepted, transfer, why);
    if (transfer->refusal == ADMISSION_GRANTED) {
        transfer->number = admission_number(shared->admission);
        return true;
    }
    if (accepted->is_counted)
        admission_client_left(shared->admission);
    log_refusal(shared, transfer, why);
    if (admission_refuse(shared->admission))
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
static bool drop(const struct shared *shared, const struct accepted *accepted, bool is_counted)
{
    if (is_counted)
        admission_client_left(shared->admission);
    close(accepted->fd);
    errno = ENOMEM;
    return false;
}

bool deal(const struct shared *shared, const struct accepted *accepted, struct shard *shard,
          struct scratch *scratch)
{
    bool waits = shared->lobby && !accepted->is_counted &&
                 access_is_proxy(shared->settings.config.access, &accepted->address);
    if (waits && admission_enter(shared->admission))
        return lobby_enter(shared->lobby, accepted) || drop(shared, accepted, true);
    struct transfer *transfer = transfer_new(accepted, shared);
    if (!transfer)
        return drop(shared, accepted, accepted->is_counted);
    if (!judge(transfer, shared, accepted, waits))
        return true;
    struct shard *to = &shared->shards[scaler_assigned(shared->scaler, transfer->number)];
    if (to == shard)
        deal_begin(transfer, shard, scratch);
    else
        loop_post(&to->loop, &transfer->node);
    return true;
}
