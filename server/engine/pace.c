/* pace: measuring calls. */
#include "server/engine/pace.h"

#include <sys/resource.h>

#include "common/clock.h"

#define LONG_NS INT64_C(250000)  /* a call that takes less is quick */
#define SURE_NS INT64_C(4000000) /* so much processor time is no accident */

enum { WAITS_NOT_COUNTED = -1 };

static long thread_waits(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : 0;
}

void stint_begin(struct stint *stint)
{
    *stint = (struct stint){.thread = pthread_self(),
                            .cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID),
                            .begun_ns = clock_ns(CLOCK_MONOTONIC),
                            .waits = thread_waits()};
}

void stint_describe(struct stint *stint, pthread_t thread, int64_t cpu_ns, bool has_waited)
{
    *stint = (struct stint){.thread = thread,
                            .cpu_ns = cpu_ns,
                            .begun_ns = clock_ns(CLOCK_MONOTONIC),
                            .waits = WAITS_NOT_COUNTED,
                            .has_waited = has_waited};
}

static enum pace computing(int64_t cpu_ns)
{
    unsigned log2 = 63u - (unsigned) __builtin_clzll((unsigned long long) (cpu_ns / LONG_NS));
    return (enum pace)(PACE_COMPUTES + log2);
}

enum pace stint_end(const struct stint *stint, enum pace before)
{
    int64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - stint->cpu_ns;
    if (cpu_ns >= SURE_NS)
        return computing(cpu_ns);
    if (cpu_ns >= LONG_NS)
        return before == PACE_DOUBTED || before >= PACE_COMPUTES ? computing(cpu_ns) : PACE_DOUBTED;
    if (stint->waits == WAITS_NOT_COUNTED)
        return stint->has_waited ? PACE_SLEEPS : PACE_DOUBTED;
    bool is_long = clock_ns(CLOCK_MONOTONIC) - stint->begun_ns >= LONG_NS;
    return is_long && thread_waits() != stint->waits ? PACE_SLEEPS : PACE_QUICK;
}

int64_t pace_cost_us(enum pace pace) { return LONG_NS / 1000 << (pace - PACE_COMPUTES); }
