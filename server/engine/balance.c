/* balance: measuring, trying, judging. */
#include "server/engine/balance.h"

#include <math.h>
#include <sched.h>
#include <stddef.h>

#include "common/clock.h"
#include "server/engine/loop.h"
#include "server/engine/processors.h"
#include "server/engine/thread_state.h"

enum {
    WINDOW_MS = 40,        /* that is measured over: many time slices, and soon enough */
    FIRST_PAUSE_MS = 1000, /* before what was no good is tried again; at first */
    LONGEST_PAUSE_MS = 30000,
    QUICK_NS = 100000, /* of an owner's time for a request: more, and each core is worth more */
};

/* Of one processor's time. */
#define BUSY 0.5       /* less, and the loops are not what anybody waits for */
#define WAITING 0.15   /* of an owner's own time: so long it wants to run and may not */
#define SATURATED 0.85 /* an owner that has hardly a pause */
#define ROOM 0.5       /* idle, and another loop finds a place */
/* What a change must bring to be kept, as a ratio of rates. More loops must bring more, since they
 * cost more; where requests take long they are for those that wait, even where the rate is the clients'. */
#define GAIN_OF_MORE 1.05
#define GAIN_OF_OTHERS 0.97

void balance_init(struct balance *balance, struct loop *loops, unsigned count, bool adapts)
{
    balance->loops = loops;
    balance->count = count;
    balance->fewer.pause_ms = balance->more.pause_ms = FIRST_PAUSE_MS;
    atomic_store(&balance->in_use, adapts && count > 0 ? 1 : count);
    atomic_store(&balance->is_fixed, !adapts);
}

void balance_use(struct balance *balance, unsigned count)
{
    atomic_store(&balance->is_fixed, true);
    atomic_store(&balance->in_use, count);
}

bool balance_begin_move(struct balance *balance)
{
    /* Sequentially consistent with the freeze: either it sees this move, or the move sees it. */
    atomic_fetch_add(&balance->moving, 1);
    if (!atomic_load(&balance->is_frozen))
        return true;
    balance_end_move(balance);
    return false;
}

void balance_end_move(struct balance *balance) { atomic_fetch_sub(&balance->moving, 1); }

void balance_freeze(struct balance *balance)
{
    atomic_store(&balance->is_frozen, true);
    while (atomic_load(&balance->moving) > 0)
        sched_yield();
}

/* ---- measuring, in the watcher ---- */

static struct balance_sight take_sight(const struct balance *balance, int64_t now_ms)
{
    struct balance_sight sight = {.at_ms = now_ms, .idle_ns = -1};
    if (balance->looks_for_idle)
        sight.idle_ns = processors_idle_ns();
    for (unsigned i = 0; i < balance->count; i++) {
        const struct loop *loop = &balance->loops[i];
        sight.requests += atomic_load_explicit(&loop->requests, memory_order_relaxed);
        const pid_t owner = atomic_load_explicit(&loop->owner_tid, memory_order_acquire);
        if (owner == 0) /* not running yet */
            continue;
        sight.cpu_ns += clock_ns(loop->owner_clock);
        sight.waited_ns += thread_state_waited_ns(owner);
    }
    return sight;
}

/* Measures the time since the last sight. False: it can't be told, since loops have changed hands
 * meanwhile. */
static bool measure(struct balance *balance, int64_t now_ms, struct balance_load *load)
{
    const struct balance_sight then = balance->sight;
    const struct balance_sight now = balance->sight = take_sight(balance, now_ms);
    const double span_ns = (double) (now.at_ms - then.at_ms) * 1e6;
    const double cpu_ns = (double) (now.cpu_ns - then.cpu_ns);
    const double requests = (double) (now.requests - then.requests);
    const bool knows_idle = then.idle_ns >= 0 && now.idle_ns >= 0;
    if (cpu_ns < 0 || now.waited_ns < then.waited_ns || requests <= 0)
        return false;
    *load = (struct balance_load){
        .busy = cpu_ns / span_ns,
        .waiting = (double) (now.waited_ns - then.waited_ns) / span_ns,
        .idle = knows_idle ? (double) (now.idle_ns - then.idle_ns) / span_ns : (double) NAN,
        .rate = requests * 1e6 / span_ns,
        .cost_ns = cpu_ns / requests,
    };
    return true;
}

void balance_look(struct balance *balance)
{
    const int64_t now_ms = clock_ms();
    struct balance_load load;
    if (balance->count == 1 || atomic_load(&balance->is_fixed) ||
        now_ms - balance->sight.at_ms < WINDOW_MS)
        return;
    if (measure(balance, now_ms, &load))
        balance_weigh(balance, &load, now_ms);
    else
        balance->in_use_before = 0;
    /* From now on, so that the next measurement knows. */
    if (balance->looks_for_idle && balance->sight.idle_ns < 0)
        balance->sight.idle_ns = processors_idle_ns();
}

/* ---- trying and judging, in the watcher ---- */

static void change(struct balance *balance, unsigned count)
{
    unsigned before = balance->in_use;
    /* Where somebody has just fixed it, it stays so. */
    if (!atomic_load(&balance->is_fixed))
        atomic_compare_exchange_strong(&balance->in_use, &before, count);
    balance->is_settling = true;
}

static void try_out(struct balance *balance, unsigned count, double rate, double gain_needed)
{
    balance->in_use_before = balance->in_use;
    balance->rate_before = rate;
    balance->gain_needed = gain_needed;
    change(balance, count);
}

/* Keeps what was tried, or undoes it. Either way it is known for a while what the other number of
 * loops is worth. */
static void judge(struct balance *balance, const struct balance_load *load, int64_t now_ms)
{
    const bool was_more = balance->in_use > balance->in_use_before;
    struct balance_way *way = was_more ? &balance->more : &balance->fewer;
    struct balance_way *back = was_more ? &balance->fewer : &balance->more;
    if (load->rate >= balance->gain_needed * balance->rate_before) {
        way->pause_ms = FIRST_PAUSE_MS;
        back->not_before_ms = now_ms + back->pause_ms;
    } else {
        way->not_before_ms = now_ms + way->pause_ms;
        way->pause_ms = 2 * way->pause_ms < LONGEST_PAUSE_MS ? 2 * way->pause_ms : LONGEST_PAUSE_MS;
        change(balance, balance->in_use_before);
    }
    balance->in_use_before = 0;
}

static void try_more(struct balance *balance, const struct balance_load *load, bool is_quick)
{
    const unsigned twice = 2 * balance->in_use;
    /* Where it can't be known it is tried all the same: what it brings will be seen. */
    if (!(load->idle < ROOM))
        try_out(balance, twice < balance->count ? twice : balance->count, load->rate,
                is_quick ? GAIN_OF_MORE : GAIN_OF_OTHERS);
}

static void decide(struct balance *balance, const struct balance_load *load, int64_t now_ms)
{
    const unsigned in_use = balance->in_use;
    const bool is_quick = load->cost_ns < QUICK_NS;
    const bool is_contended = load->busy > BUSY && load->waiting > WAITING * load->busy;
    const bool is_full = load->busy + load->waiting > (is_quick ? SATURATED : BUSY) * in_use;
    const bool wants_more =
        in_use < balance->count && is_full && now_ms >= balance->more.not_before_ms;
    const bool has_looked = balance->looks_for_idle;
    balance->looks_for_idle = false;
    if (in_use > 1 && is_quick && is_contended && now_ms >= balance->fewer.not_before_ms)
        try_out(balance, (in_use + 1) / 2, load->rate, GAIN_OF_OTHERS);
    else if (wants_more && has_looked)
        try_more(balance, load, is_quick);
    else
        balance->looks_for_idle = wants_more;
}

void balance_weigh(struct balance *balance, const struct balance_load *load, int64_t now_ms)
{
    if (balance->is_settling)
        balance->is_settling = false;
    else if (balance->in_use_before)
        judge(balance, load, now_ms);
    else
        decide(balance, load, now_ms);
}
