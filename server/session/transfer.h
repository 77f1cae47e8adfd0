/*
 * transfer: a connected socket on its way to a shard, which makes a session of it: from the
 * acceptor, or from another shard, in which it was a session that had nothing under way
 * (server/engine/scaler.h).
 */
#ifndef BANTER_SERVER_SESSION_TRANSFER_H
#define BANTER_SERVER_SESSION_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/net/acceptor.h"
#include "server/net/admission.h"
#include "server/session/shard.h"
#include "server/session/state.h"

struct transfer {
    struct inbox_node node; /* first */
    uint64_t number;        /* the session's; 0: it is refused */
    struct peer peer;
    int fd; /* owned */
    uint8_t listener;
    enum admission_refusal refusal;
    bool has_moved; /* from another shard; then the next ones are the session's too */
    bool crlf;
    bool begun;
    bool wrapped;
    uint16_t taken;
    uint8_t cost; /* enum cost */
    uint8_t relapses;
    uint64_t since_ms; /* when something happened last */
    uint32_t since_s;  /* when it began, in seconds of the same clock, if that is kept */
};

/* A connection that has no number yet; takes the socket, and its TLS. NULL: out of memory, and
 * these are still the caller's. From any thread. */
struct transfer *transfer_new(const struct accepted *accepted, const struct shared *shared);

/* Who is at the other end, and which of its address's clients it is counted among. */
void transfer_describe_peer(const struct transfer *transfer, const struct shared *shared,
                            struct peer_text *text);
struct tally_key transfer_tally_key(const struct transfer *transfer, const struct shared *shared);

/* One that does not reach its shard: closes the socket. */
void transfer_free(struct transfer *transfer, const struct shared *shared);

/* Makes a session of it, in the owner of the shard's loop, and frees it. `*is_new`: it was in no
 * shard before. NULL: out of memory; the connection is closed, which is logged. */
struct session *transfer_end(struct transfer *transfer, struct shard *shard, bool *is_new);

/* At the end of a session's turn, in the owner of its loop: if the session is assigned to another
 * shard by now, and nothing holds it here, it is sent there, and is closed here. */
void transfer_if_reassigned(struct session *session);

#endif
