/* handover: calls, and the watcher that looks at them. */
#include "server/engine/monitor.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "server/engine/scaler.h"
#include "server/engine/pool.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/engine/executor.h"
#include "server/engine/cost.h"
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
struct loop_sample {
    uint64_t call;
    int64_t cpu_ns;   /* the owner's CPU clock when the call was seen first */
    int64_t seen_ns;  /* the same, at the last look */
    unsigned count;   /* since then */
    unsigned calling; /* looks in a row at which there was a call, any one */
};

struct monitor {
    struct scaler *scaler;
    struct loop *loops;
    unsigned count;
    struct pool *pool;
    struct executor *executor;
    struct log *log;
    unsigned stall_ms;
    pthread_t thread;
    sem_t wake;          /* posted to wake it from its sleep, and by monitor_wake() */
    _Atomic bool asleep; /* or about to be: whoever begins a batch must post */
    _Atomic enum attention attention;
    _Atomic bool stopping;
    _Atomic unsigned passed_ms;      /* by its looks */
    unsigned idle_looks, calm_looks; /* in a row */
    bool told_no_spare;
    struct loop_sample samples[];
};

/* ---- in the loop's owner ---- */

uint64_t loop_call_begin(struct loop *loop)
{
    uint64_t call = ++loop->calls;
    atomic_store_explicit(&loop->call, call, memory_order_release);
    return call;
}

bool loop_call_end(struct loop *loop, uint64_t call)
{
    return atomic_compare_exchange_strong_explicit(&loop->call, &call, 0, memory_order_acq_rel,
                                                   memory_order_acquire);
}

void monitor_batch_begins(struct monitor *monitor, struct loop *loop)
{
    if (!monitor)
        return;
    /* Sequentially consistent with `asleep`: either the monitor, which looks once more after it
     * said so, sees this batch, or the batch sees that it sleeps. */
    atomic_store(&loop->active, true);
    if (atomic_load(&monitor->asleep) && atomic_exchange(&monitor->asleep, false))
        sem_post(&monitor->wake);
}

void monitor_batch_ends(struct loop *loop)
{
    atomic_store_explicit(&loop->active, false, memory_order_relaxed);
}

void monitor_expect(struct monitor *monitor)
{
    if (!monitor || atomic_load_explicit(&monitor->attention, memory_order_relaxed) == ASKED)
        return;
    if (atomic_exchange(&monitor->attention, ASKED) == CALM)
        sem_post(&monitor->wake);
}

void monitor_wake(struct monitor *monitor) { sem_post(&monitor->wake); }

unsigned monitor_clock_ms(const struct monitor *monitor)
{
    return monitor ? atomic_load_explicit(&monitor->passed_ms, memory_order_relaxed) : 0;
}

/* ---- the watcher's thread ---- */

/* A spare must be there before the loop is taken: there is no way back. */
static void take(struct monitor *monitor, struct loop *loop, const struct loop_sample *sample,
                 bool is_asleep)
{
    struct pool_thread *spare = pool_get(monitor->pool, POOL_INTERACTIVE);
    if (!spare) {
        if (!monitor->told_no_spare)
            log_tell(monitor->log, LOG_NO_SPARE, 0, "%u threads at most",
                     pool_bound(monitor->pool));
        monitor->told_no_spare = true;
        return;
    }
    monitor->told_no_spare = false;
    struct pool_thread *owner = loop->owner;
    if (!loop_call_end(loop, sample->call)) {
        pool_put_back(spare);
        return;
    }
    call_sample_describe(&pool_scratch(owner)->stall, pool_thread_id(owner), sample->cpu_ns, is_asleep);
    if (!is_asleep)
        executor_adopt(monitor->executor, pool_thread_run(owner), loop->owner_tid, loop->owner_clock);
    pool_give(spare, loop, owner);
}

static void look(struct monitor *monitor, struct loop *loop, struct loop_sample *sample)
{
    uint64_t call = atomic_load_explicit(&loop->call, memory_order_acquire);
    sample->calling = call ? sample->calling + 1 : 0;
    if (sample->calling % CALLING_LOOKS == CALLING_LOOKS - 1)
        atomic_store_explicit(&loop->measures, true, memory_order_relaxed);
    if (call != sample->call) {
        sample->call = call;
        sample->cpu_ns = sample->seen_ns = call ? clock_ns(loop->owner_clock) : 0;
        sample->count = 0;
        return;
    }
    if (!call)
        return;
    sample->count++;
    int64_t now_ns = clock_ns(loop->owner_clock);
    bool has_computed = now_ns - sample->cpu_ns > (int64_t) LOOK_MS * 500000;
    bool is_still = now_ns == sample->seen_ns;
    sample->seen_ns = now_ns;
    if (sample->count < monitor->stall_ms)
        return;
    if (has_computed)
        take(monitor, loop, sample, false);
    else if ((is_still && thread_state_sleeps(loop->owner_tid)) ||
             sample->count >= monitor->stall_ms * SLEEPING_LOOKS)
        take(monitor, loop, sample, true);
}

static bool any_active(const struct monitor *monitor)
{
    for (unsigned i = 0; i < monitor->count; i++)
        if (atomic_load(&monitor->loops[i].active))
            return true;
    return false;
}

static void sleep_until_a_batch(struct monitor *monitor)
{
    atomic_store(&monitor->asleep, true);
    if ((any_active(monitor) || atomic_load(&monitor->stopping)) &&
        atomic_exchange(&monitor->asleep, false))
        return;
    while (atomic_load(&monitor->asleep))
        sem_wait(&monitor->wake);
}

/* Whether the next look may come later: no request of which nothing is known was taken for a while. */
static bool is_calm(struct monitor *monitor)
{
    enum attention attention = ASKED;
    if (atomic_compare_exchange_strong(&monitor->attention, &attention, ATTENTIVE))
        monitor->calm_looks = 0;
    else if (attention == ATTENTIVE && ++monitor->calm_looks > CALM_LOOKS)
        atomic_compare_exchange_strong(&monitor->attention, &attention, CALM);
    return atomic_load(&monitor->attention) == CALM;
}

static bool sees_a_call(const struct monitor *monitor)
{
    for (unsigned i = 0; i < monitor->count; i++)
        if (monitor->samples[i].call)
            return true;
    return false;
}

/* Until the next look; what was offloaded is not kept waiting so long, and nor is a call of which
 * nothing is known. */
static void wait_for_look(struct monitor *monitor)
{
    const bool is_long =
        is_calm(monitor) && !sees_a_call(monitor) && !executor_is_crowded(monitor->executor);
    const unsigned ms = is_long ? CALM_LOOK_MS : LOOK_MS;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (sem_clockwait(&monitor->wake, CLOCK_MONOTONIC, &until) == 0 || errno == EINTR) {
        executor_dispatch(monitor->executor);
        if (is_long && atomic_load(&monitor->attention) != CALM)
            return;
    }
    atomic_fetch_add_explicit(&monitor->passed_ms, ms, memory_order_relaxed);
}

static void *watch(void *argument)
{
    struct monitor *monitor = argument;
    scheduling_be_prompt();
    while (!atomic_load(&monitor->stopping)) {
        for (unsigned i = 0; i < monitor->count; i++)
            look(monitor, &monitor->loops[i], &monitor->samples[i]);
        scaler_sample(monitor->scaler);
        executor_sample(monitor->executor);
        executor_dispatch(monitor->executor);
        bool is_idle = !any_active(monitor) && !executor_is_busy(monitor->executor);
        monitor->idle_looks = is_idle ? monitor->idle_looks + 1 : 0;
        if (monitor->idle_looks > IDLE_LOOKS)
            sleep_until_a_batch(monitor);
        wait_for_look(monitor);
    }
    return NULL;
}

struct monitor *monitor_start(struct scaler *scaler, struct pool *pool, struct executor *executor,
                              unsigned stall_ms, struct log *log)
{
    struct loop *loops = scaler->loops;
    unsigned count = scaler->count;
    struct monitor *monitor = calloc(1, sizeof *monitor + count * sizeof monitor->samples[0]);
    if (!monitor)
        return NULL;
    monitor->scaler = scaler;
    monitor->loops = loops;
    monitor->count = count;
    monitor->pool = pool;
    monitor->executor = executor;
    monitor->log = log;
    monitor->stall_ms = stall_ms;
    sem_init(&monitor->wake, 0, 0);
    int failure = pthread_create(&monitor->thread, NULL, watch, monitor);
    if (failure) {
        monitor_free(monitor);
        errno = failure;
        return NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        loops[i].monitor = monitor;
        loops[i].executor = executor;
    }
    return monitor;
}

void monitor_stop(struct monitor *monitor)
{
    if (!monitor)
        return;
    atomic_store(&monitor->stopping, true);
    if (atomic_exchange(&monitor->asleep, false))
        sem_post(&monitor->wake);
    pthread_join(monitor->thread, NULL);
}

void monitor_free(struct monitor *monitor)
{
    if (!monitor)
        return;
    sem_destroy(&monitor->wake);
    free(monitor);
}
