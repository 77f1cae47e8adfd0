/* monitor: sampling the loops, and taking one whose owner does not come back. */
#include "server/engine/monitor.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/counter.h"
#include "server/engine/cost.h"
#include "server/engine/executor.h"
#include "server/engine/loop.h"
#include "server/engine/pool.h"
#include "server/engine/scaler.h"
#include "server/engine/thread.h"
#include "server/log/log.h"

enum {
    /* A call that uses no CPU time is asked for at the second sample; if the kernel does not say
     * that it sleeps, it is taken at this one. */
    SLEEPING_SAMPLES = 10,
    /* After this many samples in a row at which a loop was in some call, its calls are measured:
     * none of them may be long enough to be taken, but together they keep everybody waiting. */
    CALLING_SAMPLES = 4,
    IDLE_SAMPLES = 50, /* after this many without anything to see, the monitor sleeps */
    CALM_SAMPLES = 50, /* after this many without a call of unknown cost, it is calm */
    SAMPLE_MS = 1,
    CALM_SAMPLE_MS = 4, /* until the next sample, while it is calm and sees no call */
};

enum attention {
    CALM,      /* whoever takes a request of unknown cost must post */
    ATTENTIVE, /* samples more often */
    EXPECTANT, /* the same, and a request of unknown cost was taken since the last sample */
};

/* What it remembers of a loop from sample to sample. */
struct loop_sample {
    uint64_t call;
    int64_t cpu_ns;   /* the owner's CPU time when the call was seen first */
    int64_t seen_ns;  /* the same, at the last sample */
    unsigned count;   /* samples since then */
    unsigned calling; /* samples in a row at which there was a call, any one */
};

struct monitor {
    struct monitor_config config;
    pthread_t thread;
    sem_t wake;          /* posted to wake it from its sleep, and by monitor_wake() */
    _Atomic bool asleep; /* or about to be: whoever begins a batch must post */
    _Atomic enum attention attention;
    _Atomic bool stopping;
    _Atomic unsigned passed_ms;          /* by its samples */
    struct counter handovers;            /* added to by its thread alone */
    unsigned idle_samples, calm_samples; /* in a row */
    bool has_logged_no_spare;
    struct loop_sample samples[];
};

/* ---- in a loop's owner ---- */

void monitor_batch_begins(struct monitor *monitor, struct loop *loop)
{
    if (!monitor)
        return;
    /* Sequentially consistent with `asleep`: either the monitor, which looks once more after it
     * said so, sees this batch, or the batch sees that it sleeps. */
    atomic_store(&loop->is_in_batch, true);
    if (atomic_load(&monitor->asleep) && atomic_exchange(&monitor->asleep, false))
        sem_post(&monitor->wake);
}

void monitor_batch_ends(struct loop *loop)
{
    atomic_store_explicit(&loop->is_in_batch, false, memory_order_relaxed);
}

void monitor_expect(struct monitor *monitor)
{
    if (!monitor || atomic_load_explicit(&monitor->attention, memory_order_relaxed) == EXPECTANT)
        return;
    if (atomic_exchange(&monitor->attention, EXPECTANT) == CALM)
        sem_post(&monitor->wake);
}

void monitor_wake(struct monitor *monitor) { sem_post(&monitor->wake); }

unsigned monitor_clock_ms(const struct monitor *monitor)
{
    return monitor ? atomic_load_explicit(&monitor->passed_ms, memory_order_relaxed) : 0;
}

uint64_t monitor_handovers(const struct monitor *monitor)
{
    return monitor ? counter_get(&monitor->handovers) : 0;
}

/* ---- the hand-over ---- */

/* Before a loop goes on with one thread less: none makes a call in which it could be stuck. With
 * two spares a loop, one missing is enough to refuse calls of unknown cost, while those of sessions
 * that were quick so far go on until each loop has one spare left. */
static void guard_loops(struct monitor *monitor)
{
    const struct scaler *scaler = monitor->config.scaler;
    const struct pool *pool = monitor->config.pool;
    enum loop_calls calls = LOOP_CALLS_ALL;
    if (pool_spares(pool) < scaler->count)
        calls = LOOP_CALLS_NONE;
    else if (pool_is_short(pool) || !pool_has_room(pool))
        calls = LOOP_CALLS_KNOWN;
    for (unsigned i = 0; i < scaler->count; i++)
        if (atomic_load_explicit(&scaler->loops[i]->may_call, memory_order_relaxed) != calls)
            atomic_store_explicit(&scaler->loops[i]->may_call, calls, memory_order_relaxed);
}

static unsigned count_calls(const struct monitor *monitor)
{
    const struct scaler *scaler = monitor->config.scaler;
    unsigned calls = 0;
    for (unsigned i = 0; i < scaler->count; i++)
        calls += atomic_load_explicit(&scaler->loops[i]->call, memory_order_relaxed) != 0;
    return calls;
}

static void log_no_spare(struct monitor *monitor)
{
    if (!monitor->has_logged_no_spare)
        log_tell(monitor->config.log, LOG_NO_SPARE, 0, "%u", pool_bound(monitor->config.pool));
    monitor->has_logged_no_spare = true;
}

/* Sees to it that the reserve is full, and what the loops may do until it is. */
static void keep_spares(struct monitor *monitor)
{
    pool_refill(monitor->config.pool);
    guard_loops(monitor);
    if (pool_has_room(monitor->config.pool))
        monitor->has_logged_no_spare = false;
    else
        log_no_spare(monitor);
}

/* A spare must be there before the loop is taken: there is no way back. */
static void hand_over(struct monitor *monitor, struct loop *loop, const struct loop_sample *sample,
                      bool is_asleep)
{
    struct pool_thread *spare = pool_get(monitor->config.pool, POOL_LOOP);
    if (!spare) {
        if (atomic_load(&loop->call) == sample->call) /* else it is over, as at a stop */
            log_no_spare(monitor);
        return;
    }
    struct pool_thread *owner = loop->owner;
    if (!loop_take(loop, sample->call)) {
        pool_put_back(spare);
        return;
    }
    call_sample_describe(pool_thread_stall(owner), pool_thread_self(owner)->id, sample->cpu_ns,
                         is_asleep);
    executor_adopt(monitor->config.executor, owner, is_asleep);
    guard_loops(monitor);
    pool_give_loop(spare, loop, owner);
    counter_add(&monitor->handovers, 1);
    keep_spares(monitor);
}

static void sample_loop(struct monitor *monitor, struct loop *loop, struct loop_sample *sample)
{
    uint64_t call = atomic_load_explicit(&loop->call, memory_order_acquire);
    sample->calling = call ? sample->calling + 1 : 0;
    if (sample->calling % CALLING_SAMPLES == CALLING_SAMPLES - 1)
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
    bool has_computed = now_ns - sample->cpu_ns > (int64_t) SAMPLE_MS * 500000;
    bool is_still = now_ns == sample->seen_ns;
    sample->seen_ns = now_ns;
    if (sample->count < monitor->config.stall_ms)
        return;
    if (has_computed)
        hand_over(monitor, loop, sample, false);
    else if ((is_still && thread_is_asleep(loop->owner_tid)) ||
             sample->count >= monitor->config.stall_ms * SLEEPING_SAMPLES)
        hand_over(monitor, loop, sample, true);
}

/* ---- its thread ---- */

static bool any_in_batch(const struct monitor *monitor)
{
    const struct scaler *scaler = monitor->config.scaler;
    for (unsigned i = 0; i < scaler->count; i++)
        if (atomic_load(&scaler->loops[i]->is_in_batch))
            return true;
    return false;
}

static void sleep_until_a_batch(struct monitor *monitor)
{
    atomic_store(&monitor->asleep, true);
    if ((any_in_batch(monitor) || atomic_load(&monitor->stopping)) &&
        atomic_exchange(&monitor->asleep, false))
        return;
    /* Any wake-up ends the sleep: what was submitted in a batch that came and went meanwhile, too.
     */
    while (sem_wait(&monitor->wake) != 0)
        continue;
    atomic_store(&monitor->asleep, false);
}

/* Whether the next sample may come later: no request of unknown cost was taken for a while. */
static bool is_calm(struct monitor *monitor)
{
    enum attention attention = EXPECTANT;
    if (atomic_compare_exchange_strong(&monitor->attention, &attention, ATTENTIVE))
        monitor->calm_samples = 0;
    else if (attention == ATTENTIVE && ++monitor->calm_samples > CALM_SAMPLES)
        atomic_compare_exchange_strong(&monitor->attention, &attention, CALM);
    return atomic_load(&monitor->attention) == CALM;
}

static bool sees_a_call(const struct monitor *monitor)
{
    for (unsigned i = 0; i < monitor->config.scaler->count; i++)
        if (monitor->samples[i].call)
            return true;
    return false;
}

/* Until the next sample; what was submitted is not kept waiting so long, and nor is a call of
 * unknown cost. */
static void wait_for_next(struct monitor *monitor)
{
    struct executor *executor = monitor->config.executor;
    bool is_long = is_calm(monitor) && !sees_a_call(monitor) && !executor_is_crowded(executor);
    unsigned ms = is_long ? CALM_SAMPLE_MS : SAMPLE_MS;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (sem_clockwait(&monitor->wake, CLOCK_MONOTONIC, &until) == 0 || errno == EINTR) {
        executor_dispatch(executor, count_calls(monitor));
        if (is_long && atomic_load(&monitor->attention) != CALM)
            return;
    }
    atomic_fetch_add_explicit(&monitor->passed_ms, ms, memory_order_relaxed);
}

static void *run_monitor(void *argument)
{
    struct monitor *monitor = argument;
    struct scaler *scaler = monitor->config.scaler;
    struct executor *executor = monitor->config.executor;
    thread_sched_interactive();
    while (!atomic_load(&monitor->stopping)) {
        for (unsigned i = 0; i < scaler->count; i++)
            sample_loop(monitor, scaler->loops[i], &monitor->samples[i]);
        scaler_run(scaler);
        executor_sample(executor);
        keep_spares(monitor);
        executor_dispatch(executor, count_calls(monitor));
        bool is_idle = !any_in_batch(monitor) && !executor_is_busy(executor);
        monitor->idle_samples = is_idle ? monitor->idle_samples + 1 : 0;
        if (monitor->idle_samples > IDLE_SAMPLES)
            sleep_until_a_batch(monitor);
        wait_for_next(monitor);
    }
    return NULL;
}

/* ---- life ---- */

struct monitor *monitor_start(const struct monitor_config *config)
{
    unsigned count = config->scaler->count;
    struct monitor *monitor = calloc(1, sizeof *monitor + count * sizeof monitor->samples[0]);
    if (!monitor)
        return NULL;
    monitor->config = *config;
    sem_init(&monitor->wake, 0, 0);
    int failure = pthread_create(&monitor->thread, NULL, run_monitor, monitor);
    if (failure) {
        monitor_free(monitor);
        errno = failure;
        return NULL;
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
