/* scaler: measuring, trying, judging. */
#include "server/engine/scaler.h"

#include <math.h>
#include <sched.h>
#include <stddef.h>

#include "common/clock.h"
#include "server/engine/cpus.h"
#include "server/engine/loop.h"
#include "server/engine/thread.h"

enum {
    WINDOW_MS = 40,        /* of a measurement: many time slices, and soon enough */
    FIRST_PAUSE_MS = 1000, /* before what was no good is tried again; at first */
    LONGEST_PAUSE_MS = 30000,
    QUICK_NS = 100000, /* of an owner's time for a request: above it, each core is worth more */
};

/* In cores, except WAITING. A load is worth a change if the owners
 *   - are not what anybody waits for below:          busy                <  BUSY
 *   - are slowed by others that want their cores:    waiting / busy      >  WAITING
 *   - have hardly a pause left:          (busy + waiting) / loops in use >  SATURATED (BUSY for
 *     slow requests: one that waits behind another waits long)
 *   - could use a core that has nothing to do:       idle                >= ROOM */
#define BUSY 0.5
#define WAITING 0.15
#define SATURATED 0.85
#define ROOM 0.5
/* What a change must bring to be kept: rate after / rate before. More loops must bring more, since
 * they cost more; fewer, or more for slow requests (which are for those that wait, even if the rate
 * is the clients' own), may cost what a measurement over WINDOW_MS wavers by. */
#define GAIN_OF_MORE 1.05
#define GAIN_OF_OTHERS 0.97

void scaler_init(struct scaler *scaler, struct loop *const *loops, unsigned count, bool adapts)
{
    scaler->loops = loops;
    scaler->count = count;
    scaler->fewer.pause_ms = scaler->more.pause_ms = FIRST_PAUSE_MS;
    atomic_store(&scaler->in_use, adapts && count > 0 ? 1 : count);
    atomic_store(&scaler->is_fixed, !adapts);
}

void scaler_use(struct scaler *scaler, unsigned count)
{
    atomic_store(&scaler->is_fixed, true);
    atomic_store(&scaler->in_use, count);
}

/* ---- moves ---- */

bool scaler_begin_move(struct scaler *scaler)
{
    /* Sequentially consistent with the freeze: either it sees this move, or the move sees it. */
    atomic_fetch_add(&scaler->moving, 1);
    if (!atomic_load(&scaler->is_frozen))
        return true;
    scaler_end_move(scaler);
    return false;
}

void scaler_end_move(struct scaler *scaler) { atomic_fetch_sub(&scaler->moving, 1); }

void scaler_freeze(struct scaler *scaler)
{
    atomic_store(&scaler->is_frozen, true);
    while (atomic_load(&scaler->moving) > 0)
        sched_yield();
}

/* ---- measuring, in the monitor ---- */

static struct scaler_sample take_sample(const struct scaler *scaler, int64_t now_ms)
{
    struct scaler_sample sample = {.at_ms = now_ms, .idle_ns = -1};
    if (scaler->looks_for_idle)
        sample.idle_ns = cpus_idle_ns();
    for (unsigned i = 0; i < scaler->count; i++) {
        const struct loop *loop = scaler->loops[i];
        sample.requests += counter_get(&loop->served);
        pid_t owner = atomic_load_explicit(&loop->owner_tid, memory_order_acquire);
        if (owner == 0) /* not running yet */
            continue;
        sample.cpu_ns += clock_ns(loop->owner_clock);
        sample.waited_ns += thread_waited_ns(owner);
    }
    return sample;
}

/* Measures the time since the last sample. False: unknown, since loops have changed hands
 * meanwhile. */
static bool measure(struct scaler *scaler, int64_t now_ms, struct scaler_load *load)
{
    const struct scaler_sample then = scaler->sample;
    const struct scaler_sample now = scaler->sample = take_sample(scaler, now_ms);
    double span_ns = (double) (now.at_ms - then.at_ms) * 1e6;
    double cpu_ns = (double) (now.cpu_ns - then.cpu_ns);
    double requests = (double) (now.requests - then.requests);
    bool knows_idle = then.idle_ns >= 0 && now.idle_ns >= 0;
    if (cpu_ns < 0 || now.waited_ns < then.waited_ns || requests <= 0)
        return false;
    *load = (struct scaler_load){
        .busy = cpu_ns / span_ns,
        .waiting = (double) (now.waited_ns - then.waited_ns) / span_ns,
        .idle = knows_idle ? (double) (now.idle_ns - then.idle_ns) / span_ns : (double) NAN,
        .rate = requests * 1e6 / span_ns,
        .cost_ns = cpu_ns / requests,
    };
    return true;
}

void scaler_run(struct scaler *scaler)
{
    int64_t now_ms = clock_ms();
    struct scaler_load load;
    if (scaler->count == 1 || atomic_load(&scaler->is_fixed) ||
        now_ms - scaler->sample.at_ms < WINDOW_MS)
        return;
    if (measure(scaler, now_ms, &load))
        scaler_weigh(scaler, &load, now_ms);
    else
        scaler->in_use_before = 0;
    /* From now on, so that the next measurement knows. */
    if (scaler->looks_for_idle && scaler->sample.idle_ns < 0)
        scaler->sample.idle_ns = cpus_idle_ns();
}

/* ---- trying and judging, in the monitor ---- */

static void change(struct scaler *scaler, unsigned count)
{
    unsigned before = scaler->in_use;
    /* If somebody has just fixed it, it stays so. */
    if (!atomic_load(&scaler->is_fixed))
        atomic_compare_exchange_strong(&scaler->in_use, &before, count);
    scaler->is_settling = true;
}

static void try_out(struct scaler *scaler, unsigned count, double rate, double gain_needed)
{
    scaler->in_use_before = scaler->in_use;
    scaler->rate_before = rate;
    scaler->gain_needed = gain_needed;
    change(scaler, count);
}

/* Keeps what was tried, or undoes it. Either way it is known for a while what the other number of
 * loops is worth. */
static void judge(struct scaler *scaler, const struct scaler_load *load, int64_t now_ms)
{
    bool was_more = scaler->in_use > scaler->in_use_before;
    struct scaler_direction *tried = was_more ? &scaler->more : &scaler->fewer;
    struct scaler_direction *back = was_more ? &scaler->fewer : &scaler->more;
    if (load->rate >= scaler->gain_needed * scaler->rate_before) {
        tried->pause_ms = FIRST_PAUSE_MS;
        back->not_before_ms = now_ms + back->pause_ms;
    } else {
        tried->not_before_ms = now_ms + tried->pause_ms;
        tried->pause_ms =
            2 * tried->pause_ms < LONGEST_PAUSE_MS ? 2 * tried->pause_ms : LONGEST_PAUSE_MS;
        change(scaler, scaler->in_use_before);
    }
    scaler->in_use_before = 0;
}

static void try_more(struct scaler *scaler, const struct scaler_load *load, bool is_quick)
{
    unsigned twice = 2 * scaler->in_use;
    /* If it is unknown (NAN) more are tried all the same: what they bring will be seen. */
    if (!(load->idle < ROOM))
        try_out(scaler, twice < scaler->count ? twice : scaler->count, load->rate,
                is_quick ? GAIN_OF_MORE : GAIN_OF_OTHERS);
}

static void decide(struct scaler *scaler, const struct scaler_load *load, int64_t now_ms)
{
    unsigned in_use = scaler->in_use;
    bool is_quick = load->cost_ns < QUICK_NS;
    bool is_contended = load->busy > BUSY && load->waiting > WAITING * load->busy;
    bool is_full = load->busy + load->waiting > (is_quick ? SATURATED : BUSY) * in_use;
    bool wants_more = in_use < scaler->count && is_full && now_ms >= scaler->more.not_before_ms;
    bool has_looked = scaler->looks_for_idle;
    scaler->looks_for_idle = false;
    if (in_use > 1 && is_quick && is_contended && now_ms >= scaler->fewer.not_before_ms)
        try_out(scaler, (in_use + 1) / 2, load->rate, GAIN_OF_OTHERS);
    else if (wants_more && has_looked)
        try_more(scaler, load, is_quick);
    else
        scaler->looks_for_idle = wants_more;
}

void scaler_weigh(struct scaler *scaler, const struct scaler_load *load, int64_t now_ms)
{
    if (scaler->is_settling)
        scaler->is_settling = false;
    else if (scaler->in_use_before)
        judge(scaler, load, now_ms);
    else
        decide(scaler, load, now_ms);
}
