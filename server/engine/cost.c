/* cost: measuring calls. */
#include "server/engine/cost.h"

#include <sys/resource.h>

#include "common/clock.h"

#define LONG_NS INT64_C(250000)  /* a call that takes less is quick */
#define SURE_NS INT64_C(4000000) /* this much CPU time is no accident */

enum { WAITS_NOT_COUNTED = -1 };

static long thread_waits(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : 0;
}

void call_sample_begin(struct call_sample *sample)
{
    *sample = (struct call_sample){.thread = pthread_self(),
                                   .cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID),
                                   .begun_ns = clock_ns(CLOCK_MONOTONIC),
                                   .waits = thread_waits()};
}

void call_sample_describe(struct call_sample *sample, pthread_t thread, int64_t cpu_ns,
                          bool has_waited)
{
    *sample = (struct call_sample){.thread = thread,
                                   .cpu_ns = cpu_ns,
                                   .begun_ns = clock_ns(CLOCK_MONOTONIC),
                                   .waits = WAITS_NOT_COUNTED,
                                   .has_waited = has_waited};
}

static enum cost computing(int64_t cpu_ns)
{
    unsigned log2 = 63u - (unsigned) __builtin_clzll((unsigned long long) (cpu_ns / LONG_NS));
    unsigned cost = COST_COMPUTES + log2;
    return cost < COST_WAS_SLEEPING ? (enum cost) cost : COST_WAS_SLEEPING - 1;
}

enum cost call_sample_end(const struct call_sample *sample, enum cost before)
{
    int64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - sample->cpu_ns;
    if (cpu_ns >= SURE_NS)
        return computing(cpu_ns);
    if (cpu_ns >= LONG_NS)
        return before == COST_DOUBTED || before >= COST_COMPUTES ? computing(cpu_ns) : COST_DOUBTED;
    if (sample->waits == WAITS_NOT_COUNTED)
        return sample->has_waited ? COST_SLEEPS : COST_DOUBTED;
    bool is_long = clock_ns(CLOCK_MONOTONIC) - sample->begun_ns >= LONG_NS;
    return is_long && thread_waits() != sample->waits ? COST_SLEEPS : COST_QUICK;
}

/* It was slow, and has been quick once: how many more it takes. */
static enum cost begin_probation(enum cost before, unsigned relapses)
{
    unsigned needed = relapses ? (1u << (relapses - 1)) - 1 : 0;
    if (needed == 0)
        return COST_QUICK;
    return (before == COST_SLEEPS ? COST_WAS_SLEEPING : COST_WAS_COMPUTING) + needed;
}

enum cost cost_learn(enum cost before, enum cost call, unsigned relapses)
{
    if (call != COST_QUICK || before < COST_SLEEPS)
        return call;
    if (before < COST_WAS_SLEEPING)
        return begin_probation(before, relapses);
    enum cost next = before - 1;
    return next == COST_WAS_SLEEPING || next == COST_WAS_COMPUTING ? COST_QUICK : next;
}

enum cost cost_class(enum cost cost)
{
    if (cost < COST_WAS_SLEEPING)
        return cost;
    return cost < COST_WAS_COMPUTING ? COST_SLEEPS : COST_COMPUTES;
}

int64_t cost_us(enum cost cost) { return LONG_NS / 1000 << (cost - COST_COMPUTES); }
