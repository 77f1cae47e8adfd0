/* shard: life, and what is said to all of its sessions. */
#include "server/session/shard.h"

#include <errno.h>

#include "common/buffer_pool.h"
#include "common/clock.h"
#include "server/engine/scaler.h"
#include "server/log/log.h"
#include "server/net/acceptor.h"
#include "server/net/admission.h"
#include "server/net/tally.h"

enum { LOG_AGAIN_MS = 10000 /* memory may run short, and not, with each request */ };

bool shard_init(struct shard *shard, const struct shared *shared)
{
    shard->shared = shared;
    shard->store.keeps_since = shared->settings.config.keeps_since;
    shard->stop_node.kind = INBOX_STOP;
    shard->resume_node.kind = INBOX_RESUME;
    shard->relieve_node.kind = INBOX_RELIEVE;
    SLIST_INIT(&shard->dead);
    STAILQ_INIT(&shard->spares.queue);
    if (!loop_init(&shard->loop))
        return false;
    shard->log = log_ring_new(shared->log);
    shard_look_at_log(shard);
    errno = ENOMEM;
    return shard->log;
}

void shard_look_at_log(struct shard *shard)
{
    shard->transcript = log_wants(shard->shared->log, LOG_PROCESSED) ? shard->log : NULL;
}

void shard_fini(struct shard *shard)
{
    shard_free_dead(shard);
    store_fini(&shard->store);
    request_spares_fini(&shard->spares);
    log_ring_free(shard->log);
    loop_fini(&shard->loop);
}

void shard_resume(struct shard *shard)
{
    if (!atomic_exchange(&shard->resume_posted, true))
        loop_post(&shard->loop, &shard->resume_node);
}

void shard_relieve(struct shard *shard)
{
    if (!atomic_exchange(&shard->relieve_posted, true))
        loop_post(&shard->loop, &shard->relieve_node);
}

void shard_resume_all(const struct shared *shared)
{
    for (unsigned i = 0; i < shared->scaler->count; i++)
        shard_resume(&shared->shards[i]);
}

static void log_short(struct shard *shard)
{
    struct memory *memory = shard->shared->memory;
    int64_t now_ms = shard->loop.now_ms, last_ms = atomic_load(&memory->logged_ms);
    if ((!last_ms || now_ms - last_ms >= LOG_AGAIN_MS) &&
        atomic_compare_exchange_strong(&memory->logged_ms, &last_ms, now_ms))
        log_tell(shard->shared->log, LOG_MEMORY_SHORT, 0, "%zu%c%zu", atomic_load(&memory->held),
                 LOG_SEPARATOR, memory->bound);
}

/* What has changed is known to all. */
static __attribute__((noinline)) void count(struct shard *shard)
{
    struct memory *memory = shard->shared->memory;
    struct memory_change change = memory_add(memory, shard->uncounted);
    shard->uncounted = 0;
    if (change.runs_short) {
        buffer_pool_empty();
        log_short(shard);
    }
    if (change.has_room)
        shard_resume_all(shard->shared);
}

void shard_hold(struct shard *shard, ptrdiff_t bytes)
{
    ptrdiff_t grain = (ptrdiff_t) shard->shared->memory->grain;
    shard->uncounted += bytes;
    if (shard->uncounted > grain || shard->uncounted < -grain)
        count(shard);
}

void shard_client_left(const struct shared *shared, const struct peer *peer, unsigned listener)
{
    const struct address *address = &shared->acceptor->listeners.items[listener].address;
    admission_client_left(shared->admission);
    if (shared->tally)
        tally_remove(shared->tally, peer_tally_key(peer, address));
}

void shard_stop(struct shard *shard) { loop_post(&shard->loop, &shard->stop_node); }

void shard_for_each(struct shard *shard, void (*act)(struct session *session))
{
    size_t place = 0;
    for (struct session *session; (session = store_next(&shard->store, &place));)
        act(session);
}

struct request *shard_request(struct shard *shard)
{
    const struct shared *shared = shard->shared;
    struct request *request =
        request_from(&shard->spares, shared->settings.config.handler, shared->asker, shared->log);
    if (!request)
        return NULL;
    request->listeners = &shared->acceptor->listeners;
    request->session_data = NULL;
    return request;
}

void shard_measure(struct shard *shard)
{
    uint64_t taken = counter_get(&shard->loop.served);
    uint64_t answered = taken - counter_get(&shard->counters.late);
    if (answered == shard->measured)
        return;
    latency_add(&shard->counters.latency_at_once, clock_ns(CLOCK_MONOTONIC) - shard->loop.batch_ns,
                answered - shard->measured);
    shard->measured = answered;
}

bool shard_moves(struct shard *shard, int64_t now_ms)
{
    struct loop *loop = &shard->loop;
    /* A batch may be long; then requests are taken in it. */
    uint64_t done = counter_get(&shard->counters.batches) + counter_get(&loop->served);
    if (atomic_load_explicit(&loop->owner_tid, memory_order_relaxed) == 0)
        return true;
    if (shard->woken_ms && done == shard->woken_done)
        return now_ms - shard->woken_ms < SHARD_STUCK_MS;
    shard->woken_done = done;
    shard->woken_ms = now_ms;
    loop_wake(loop);
    return true;
}

void shard_free_dead(struct shard *shard)
{
    struct session *session;
    while ((session = SLIST_FIRST(&shard->dead))) {
        const struct listeners *listeners = &shard->shared->acceptor->listeners;
        SLIST_REMOVE_HEAD(&shard->dead, dead_entry);
        peer_fini(&session->peer, &listeners->items[session->listener].address);
        store_put(&shard->store, session);
    }
}
