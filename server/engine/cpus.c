/* processors: the process's affinity, and /proc/stat. */
#include "server/engine/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* False where there are more than a set can tell. */
static bool get_own(cpu_set_t *own) { return sched_getaffinity(0, sizeof *own, own) == 0; }

unsigned cpus_count(void)
{
    cpu_set_t own;
    if (get_own(&own))
        return (unsigned) CPU_COUNT(&own);
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned) online : 1;
}

/* Reads a line of the file: "cpu3", and its times in user mode, there at low priority, in the kernel, idle,
 * idle while a disk is waited for. False: it is not about a single processor. */
static bool read_line(const char *line, unsigned long *processor, int64_t *idle_ticks)
{
    enum { IDLE = 3, WAITING_FOR_DISK };
    if (strncmp(line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9')
        return false;
    char *at;
    *processor = strtoul(line + 3, &at, 10);
    *idle_ticks = 0;
    for (int i = 0; i <= WAITING_FOR_DISK; i++) {
        const int64_t ticks = strtoll(at, &at, 10);
        if (i >= IDLE)
            *idle_ticks += ticks;
    }
    return true;
}

int64_t cpus_idle_ns(void)
{
    cpu_set_t own;
    FILE *file = fopen("/proc/stat", "re");
    if (!file)
        return -1;
    const bool has_own = get_own(&own);
    const int64_t tick_ns = INT64_C(1000000000) / sysconf(_SC_CLK_TCK);
    char line[256];
    int64_t sum = -1;
    /* The processors come first; what follows them can be long. */
    while (fgets(line, sizeof line, file) && line[0] == 'c') {
        unsigned long processor;
        int64_t ticks;
        if (!read_line(line, &processor, &ticks))
            continue;
        if (!has_own || (processor < CPU_SETSIZE && CPU_ISSET(processor, &own)))
            sum = (sum < 0 ? 0 : sum) + ticks * tick_ns;
    }
    fclose(file);
    return sum;
}
