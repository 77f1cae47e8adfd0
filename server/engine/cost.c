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
    return (enum cost)(COST_COMPUTES + log2);
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

int64_t cost_us(enum cost cost) { return LONG_NS / 1000 << (cost - COST_COMPUTES); }
