/*
 * shard: a loop and the sessions that live in it. A server has one for each loop, and every session
 * belongs to one shard; an idle one may move to another (server/session/transfer.h).
 */
#ifndef BANTER_SERVER_SESSION_SHARD_H
#define BANTER_SERVER_SESSION_SHARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/engine/inbox.h"
#include "server/engine/loop.h"
#include "server/session/counters.h"
#include "server/session/linger.h"
#include "server/session/memory.h"
#include "server/session/state.h"
#include "server/session/store.h"
#include "server/settings.h"

struct acceptor;
struct admission;
struct executor;
struct lobby;
struct log;
struct log_ring;
struct monitor;
struct scaler;
struct tally;

/* What the shards of one server share; it does not change while they run. */
struct shared {
    struct settings settings;
    struct log *log;
    struct admission *admission;
    struct tally *tally; /* NULL: each address may have any number of clients */
    struct acceptor *acceptor;
    struct lobby *lobby; /* where proxies' connections wait; NULL: there are none */
    struct scaler *scaler;
    struct monitor *monitor;   /* NULL: no hand-over */
    struct executor *executor; /* takes what is known to take long; NULL: nothing does */
    struct memory *memory;     /* what the sessions of all shards hold */
    const struct asker *asker; /* the functions of sessions as askers */
    struct shard *shards;      /* by the index of their loops in the scaler */
};

struct shard {
    struct loop loop; /* first */
    const struct shared *shared;
    struct log_ring *log;        /* the owner's */
    struct log_ring *transcript; /* the same; NULL: no messages are logged */
    struct counters counters;

    /* For every thread. */
    struct inbox_node stop_node, resume_node, relieve_node;
    _Atomic bool resume_posted, relieve_posted; /* these two nodes are in the inbox */
    _Atomic bool serves; /* somebody owns the loop: what is posted is seen to */

    /* Of whoever calls shard_moves(). */
    uint64_t woken_done; /* what had been done when it was last woken for that */
    int64_t woken_ms;    /* when that was; 0: never */

    /* The owner's. */
    struct store store;
    struct request_spares spares; /* requests for the next calls */
    struct linger_list linger;
    struct session_list dead; /* closed in this batch; freed when it is over */
    uint64_t measured;        /* requests in counters.latency_at_once */
    ptrdiff_t uncounted; /* bytes that its sessions hold and the server's memory does not know */
    bool draining;       /* no new input is waited for */
    unsigned recalls;    /* how often the handler was asked to take back what was not begun */
    bool refusing;       /* the drain's time is over: what was begun is refused */
    /* while draining: when refusing begins; then: when what is left is closed */
    int64_t drain_deadline_ms;
};

/* Makes a shard with no sessions; all zero before. False with errno set; shard_fini() is due all
 * the same. `shared` outlives it. */
bool shard_init(struct shard *shard, const struct shared *shared);

/* Sees whether the log wants messages now. */
void shard_look_at_log(struct shard *shard);

/* Gives everything back; no sessions are left, and the loop's inbox was emptied. */
void shard_fini(struct shard *shard);

/* The shard of a loop. */
static inline struct shard *shard_of(struct loop *loop) { return (struct shard *) loop; }

/* Lets all sessions go on that wait for the handler to be less full. From any thread. */
void shard_resume(struct shard *shard);

/* Lets sessions that linger be closed, as long as descriptors are needed. From any thread. */
void shard_relieve(struct shard *shard);

/* The shard's sessions hold this many bytes more, or fewer if it is negative. Owner only. */
void shard_hold(struct shard *shard, ptrdiff_t bytes);

/* Lets the sessions of all shards go on that were not read because memory was short. From any
 * thread. */
void shard_resume_all(const struct shared *shared);

/* A client that was counted leaves: before it can see that, so that when it does there is room for
 * the next one. `listener` is the index of the one on which it connected. From any thread. */
void shard_client_left(const struct shared *shared, const struct peer *peer, unsigned listener);

/* Begins the stop: what has been received is still served. From any thread, once. */
void shard_stop(struct shard *shard);

/* Calls a function for each session that is not closed. Owner only; sessions may come and go. */
void shard_for_each(struct shard *shard, void (*act)(struct session *session));

/* A request for the next call, or to say something in its place: a spare or a new one. NULL: out of
 * memory. Owner only. */
struct request *shard_request(struct shard *shard);

/* The batch is over, and so is the time of the requests that were answered in it. Owner only. */
void shard_measure(struct shard *shard);

/* Whether its loop goes on: it is woken, and has SHARD_STUCK_MS to begin a batch or take a request;
 * the next call sees whether it has. A loop that nobody owns does not stand still. By one thread at
 * a time, `now_ms` being its time. */
enum { SHARD_STUCK_MS = 2000 };
bool shard_moves(struct shard *shard, int64_t now_ms);

/* Frees the sessions that were closed: at the end of a batch. Owner only. */
void shard_free_dead(struct shard *shard);

#endif
