/* handover: calls, and the watcher that looks at them. */
#include "server/handover.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "server/crew.h"
#include "server/log.h"
#include "server/loop.h"

enum {
    SLEEPING_LOOKS = 10, /* a call seen so often is taken, whether or not it uses CPU time */
    IDLE_LOOKS = 50,     /* so many looks at nothing, and the watcher sleeps */
};

/* What the watcher remembers of a loop from look to look. */
struct sight {
    uint64_t call;
    int64_t cpu_ns; /* the owner's CPU clock when the call was seen first */
    unsigned looks; /* since then */
};

struct watcher {
    struct loop *loops;
    unsigned count;
    struct crew *crew;
    struct log *log;
    unsigned stall_ms;
    pthread_t thread;
    sem_t wake;          /* waited for while `asleep` */
    _Atomic bool asleep; /* or about to be: whoever begins a batch must post */
    _Atomic bool stopping;
    _Atomic unsigned tick;
    bool told_no_spare;
    struct sight sights[];
};

/* ---- in the loop's owner ---- */

uint64_t handover_begin_call(struct loop *loop)
{
    uint64_t call = ++loop->calls;
    atomic_store_explicit(&loop->call, call, memory_order_release);
    return call;
}

bool handover_end_call(struct loop *loop, uint64_t call)
{
    return atomic_compare_exchange_strong_explicit(&loop->call, &call, 0, memory_order_acq_rel,
                                                   memory_order_acquire);
}

void watcher_batch_begins(struct watcher *watcher, struct loop *loop)
{
    if (!watcher)
        return;
    /* Sequentially consistent with `asleep`: either the watcher, which looks once more after it
     * said so, sees this batch, or the batch sees that it sleeps. */
    atomic_store(&loop->active, true);
    if (atomic_load(&watcher->asleep) && atomic_exchange(&watcher->asleep, false))
        sem_post(&watcher->wake);
}

void watcher_batch_ends(struct loop *loop)
{
    atomic_store_explicit(&loop->active, false, memory_order_relaxed);
}

unsigned watcher_tick(const struct watcher *watcher)
{
    return watcher ? atomic_load_explicit(&watcher->tick, memory_order_relaxed) : 0;
}

/* ---- the watcher's thread ---- */

/* A spare must be there before the loop is taken: there is no way back. */
static void take(struct watcher *watcher, struct loop *loop, uint64_t call)
{
    struct crew_thread *spare = crew_get(watcher->crew);
    if (!spare) {
        if (!watcher->told_no_spare)
            log_tell(watcher->log, LOG_NO_SPARE, 0, "%u threads at most",
                     crew_bound(watcher->crew));
        watcher->told_no_spare = true;
        return;
    }
    watcher->told_no_spare = false;
    if (handover_end_call(loop, call))
        crew_give(spare, loop, loop->owner);
    else
        crew_put_back(spare);
}

static int64_t owner_cpu_ns(const struct loop *loop)
{
    struct timespec used;
    if (clock_gettime(loop->owner_clock, &used) != 0)
        return 0;
    return (int64_t) used.tv_sec * 1000000000 + used.tv_nsec;
}

static void look(struct watcher *watcher, struct loop *loop, struct sight *sight)
{
    uint64_t call = atomic_load_explicit(&loop->call, memory_order_acquire);
    if (call != sight->call) {
        *sight = (struct sight){.call = call, .cpu_ns = call ? owner_cpu_ns(loop) : 0};
        return;
    }
    if (!call)
        return;
    sight->looks++;
    int64_t used_ns = owner_cpu_ns(loop) - sight->cpu_ns;
    bool computes = used_ns > (int64_t) HANDOVER_TICK_MS * 500000;
    if ((sight->looks >= watcher->stall_ms && computes) ||
        sight->looks >= watcher->stall_ms * SLEEPING_LOOKS)
        take(watcher, loop, call);
}

static bool any_active(const struct watcher *watcher)
{
    for (unsigned i = 0; i < watcher->count; i++)
        if (atomic_load(&watcher->loops[i].active))
            return true;
    return false;
}

static void sleep_until_a_batch(struct watcher *watcher)
{
    atomic_store(&watcher->asleep, true);
    if ((any_active(watcher) || atomic_load(&watcher->stopping)) &&
        atomic_exchange(&watcher->asleep, false))
        return;
    while (sem_wait(&watcher->wake) != 0)
        continue;
}

static void *watch(void *argument)
{
    struct watcher *watcher = argument;
    const struct timespec tick = {.tv_nsec = HANDOVER_TICK_MS * 1000000};
    unsigned idle_looks = 0;
    while (!atomic_load(&watcher->stopping)) {
        for (unsigned i = 0; i < watcher->count; i++)
            look(watcher, &watcher->loops[i], &watcher->sights[i]);
        idle_looks = any_active(watcher) ? 0 : idle_looks + 1;
        if (idle_looks > IDLE_LOOKS)
            sleep_until_a_batch(watcher);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
        atomic_fetch_add_explicit(&watcher->tick, 1, memory_order_relaxed);
    }
    return NULL;
}

struct watcher *watcher_start(struct loop *loops, unsigned count, struct crew *crew,
                              unsigned stall_ms, struct log *log)
{
    struct watcher *watcher = calloc(1, sizeof *watcher + count * sizeof watcher->sights[0]);
    if (!watcher)
        return NULL;
    watcher->loops = loops;
    watcher->count = count;
    watcher->crew = crew;
    watcher->log = log;
    watcher->stall_ms = stall_ms;
    sem_init(&watcher->wake, 0, 0);
    int failure = pthread_create(&watcher->thread, NULL, watch, watcher);
    if (failure) {
        watcher_free(watcher);
        errno = failure;
        return NULL;
    }
    for (unsigned i = 0; i < count; i++)
        loops[i].watcher = watcher;
    return watcher;
}

void watcher_stop(struct watcher *watcher)
{
    if (!watcher)
        return;
    atomic_store(&watcher->stopping, true);
    if (atomic_exchange(&watcher->asleep, false))
        sem_post(&watcher->wake);
    pthread_join(watcher->thread, NULL);
}

void watcher_free(struct watcher *watcher)
{
    if (!watcher)
        return;
    sem_destroy(&watcher->wake);
    free(watcher);
}
