/* handover: calls, and the watcher that looks at them. */
#include "server/engine/handover.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "server/engine/balance.h"
#include "server/engine/crew.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/engine/offload.h"
#include "server/engine/pace.h"
#include "server/engine/scheduling.h"
#include "server/engine/thread_state.h"

enum {
    /* a call that uses no CPU time is asked for at the second look; where the kernel does not tell
     * that it sleeps, it is taken at this one */
    SLEEPING_LOOKS = 10,
    /* So many looks in a row at a loop that is in some call, and its calls are measured: none of them
     * may be long enough to be taken, but together they keep everybody waiting. */
    CALLING_LOOKS = 4,
    IDLE_LOOKS = 50, /* so many looks at nothing, and the watcher sleeps */
    CALM_LOOKS = 50, /* so many looks without a call of which nothing is known, and it is calm */
    LOOK_MS = 1,
    CALM_LOOK_MS = 4, /* until the next look, while it is calm and sees no call */
};

enum attention {
    CALM,      /* whoever takes a request of which nothing is known must post */
    ATTENTIVE, /* looks more often */
    ASKED, /* the same, and a request has been taken since the last look of which nothing was known */
};

/* What the watcher remembers of a loop from look to look. */
struct sight {
    uint64_t call;
    int64_t cpu_ns;   /* the owner's CPU clock when the call was seen first */
    int64_t seen_ns;  /* the same, at the last look */
    unsigned looks;   /* since then */
    unsigned calling; /* looks in a row at which there was a call, any one */
};

struct watcher {
    struct balance *balance;
    struct loop *loops;
    unsigned count;
    struct crew *crew;
    struct offload *offload;
    struct log *log;
    unsigned stall_ms;
    pthread_t thread;
    sem_t wake;          /* posted to wake it from its sleep, and by watcher_poke() */
    _Atomic bool asleep; /* or about to be: whoever begins a batch must post */
    _Atomic enum attention attention;
    _Atomic bool stopping;
    _Atomic unsigned passed_ms;      /* by its looks */
    unsigned idle_looks, calm_looks; /* in a row */
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

void watcher_attend(struct watcher *watcher)
{
    if (!watcher || atomic_load_explicit(&watcher->attention, memory_order_relaxed) == ASKED)
        return;
    if (atomic_exchange(&watcher->attention, ASKED) == CALM)
        sem_post(&watcher->wake);
}

void watcher_poke(struct watcher *watcher) { sem_post(&watcher->wake); }

unsigned watcher_ms(const struct watcher *watcher)
{
    return watcher ? atomic_load_explicit(&watcher->passed_ms, memory_order_relaxed) : 0;
}

/* ---- the watcher's thread ---- */

/* A spare must be there before the loop is taken: there is no way back. */
static void take(struct watcher *watcher, struct loop *loop, const struct sight *sight,
                 bool is_asleep)
{
    struct crew_thread *spare = crew_get(watcher->crew, CREW_PROMPT);
    if (!spare) {
        if (!watcher->told_no_spare)
            log_tell(watcher->log, LOG_NO_SPARE, 0, "%u threads at most",
                     crew_bound(watcher->crew));
        watcher->told_no_spare = true;
        return;
    }
    watcher->told_no_spare = false;
    struct crew_thread *owner = loop->owner;
    if (!handover_end_call(loop, sight->call)) {
        crew_put_back(spare);
        return;
    }
    stint_describe(&crew_turn(owner)->stall, crew_thread_id(owner), sight->cpu_ns, is_asleep);
    if (!is_asleep)
        offload_adopt(watcher->offload, crew_thread_run(owner), loop->owner_tid, loop->owner_clock);
    crew_give(spare, loop, owner);
}

static void look(struct watcher *watcher, struct loop *loop, struct sight *sight)
{
    uint64_t call = atomic_load_explicit(&loop->call, memory_order_acquire);
    sight->calling = call ? sight->calling + 1 : 0;
    if (sight->calling % CALLING_LOOKS == CALLING_LOOKS - 1)
        atomic_store_explicit(&loop->measures, true, memory_order_relaxed);
    if (call != sight->call) {
        sight->call = call;
        sight->cpu_ns = sight->seen_ns = call ? clock_ns(loop->owner_clock) : 0;
        sight->looks = 0;
        return;
    }
    if (!call)
        return;
    sight->looks++;
    int64_t now_ns = clock_ns(loop->owner_clock);
    bool has_computed = now_ns - sight->cpu_ns > (int64_t) LOOK_MS * 500000;
    bool is_still = now_ns == sight->seen_ns;
    sight->seen_ns = now_ns;
    if (sight->looks < watcher->stall_ms)
        return;
    if (has_computed)
        take(watcher, loop, sight, false);
    else if ((is_still && thread_state_sleeps(loop->owner_tid)) ||
             sight->looks >= watcher->stall_ms * SLEEPING_LOOKS)
        take(watcher, loop, sight, true);
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
    while (atomic_load(&watcher->asleep))
        sem_wait(&watcher->wake);
}

/* Whether the next look may come later: no request of which nothing is known was taken for a while. */
static bool is_calm(struct watcher *watcher)
{
    enum attention attention = ASKED;
    if (atomic_compare_exchange_strong(&watcher->attention, &attention, ATTENTIVE))
        watcher->calm_looks = 0;
    else if (attention == ATTENTIVE && ++watcher->calm_looks > CALM_LOOKS)
        atomic_compare_exchange_strong(&watcher->attention, &attention, CALM);
    return atomic_load(&watcher->attention) == CALM;
}

static bool sees_a_call(const struct watcher *watcher)
{
    for (unsigned i = 0; i < watcher->count; i++)
        if (watcher->sights[i].call)
            return true;
    return false;
}

/* Until the next look; what was offloaded is not kept waiting so long, and nor is a call of which
 * nothing is known. */
static void wait_for_look(struct watcher *watcher)
{
    const bool is_long =
        is_calm(watcher) && !sees_a_call(watcher) && !offload_is_crowded(watcher->offload);
    const unsigned ms = is_long ? CALM_LOOK_MS : LOOK_MS;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (sem_clockwait(&watcher->wake, CLOCK_MONOTONIC, &until) == 0 || errno == EINTR) {
        offload_admit(watcher->offload);
        if (is_long && atomic_load(&watcher->attention) != CALM)
            return;
    }
    atomic_fetch_add_explicit(&watcher->passed_ms, ms, memory_order_relaxed);
}

static void *watch(void *argument)
{
    struct watcher *watcher = argument;
    scheduling_be_prompt();
    while (!atomic_load(&watcher->stopping)) {
        for (unsigned i = 0; i < watcher->count; i++)
            look(watcher, &watcher->loops[i], &watcher->sights[i]);
        balance_look(watcher->balance);
        offload_look(watcher->offload);
        offload_admit(watcher->offload);
        bool is_idle = !any_active(watcher) && !offload_is_busy(watcher->offload);
        watcher->idle_looks = is_idle ? watcher->idle_looks + 1 : 0;
        if (watcher->idle_looks > IDLE_LOOKS)
            sleep_until_a_batch(watcher);
        wait_for_look(watcher);
    }
    return NULL;
}

struct watcher *watcher_start(struct balance *balance, struct crew *crew, struct offload *offload,
                              unsigned stall_ms, struct log *log)
{
    struct loop *loops = balance->loops;
    unsigned count = balance->count;
    struct watcher *watcher = calloc(1, sizeof *watcher + count * sizeof watcher->sights[0]);
    if (!watcher)
        return NULL;
    watcher->balance = balance;
    watcher->loops = loops;
    watcher->count = count;
    watcher->crew = crew;
    watcher->offload = offload;
    watcher->log = log;
    watcher->stall_ms = stall_ms;
    sem_init(&watcher->wake, 0, 0);
    int failure = pthread_create(&watcher->thread, NULL, watch, watcher);
    if (failure) {
        watcher_free(watcher);
        errno = failure;
        return NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        loops[i].watcher = watcher;
        loops[i].offload = offload;
    }
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
