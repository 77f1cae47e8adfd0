/* cpus: the process's affinity, and /proc/stat. */
#include "server/engine/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* False if the machine has more cores than a set can hold. */
static bool get_own(cpu_set_t *own) { return sched_getaffinity(0, sizeof *own, own) == 0; }

unsigned cpus_count(void)
{
    cpu_set_t own;
    if (get_own(&own))
        return (unsigned) CPU_COUNT(&own);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned) online : 1;
}

/* Reads a line of the file: "cpu3" and its times in user mode, in user mode at low priority, in the
 * kernel, idle, and idle while waiting for a disk. False: the line is not about a single core. */
static bool read_line(const char *line, unsigned long *cpu, int64_t *idle_ticks)
{
    enum { IDLE = 3, WAITING_FOR_DISK };
    if (strncmp(line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9')
        return false;
    char *at;
    *cpu = strtoul(line + 3, &at, 10);
    *idle_ticks = 0;
    for (int i = 0; i <= WAITING_FOR_DISK; i++) {
        int64_t ticks = strtoll(at, &at, 10);
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
    bool has_own = get_own(&own);
    int64_t tick_ns = INT64_C(1000000000) / sysconf(_SC_CLK_TCK);
    char line[256];
    int64_t sum = -1;
    /* The cores come first; the lines behind them can be long. */
    while (fgets(line, sizeof line, file) && line[0] == 'c') {
        unsigned long cpu;
        int64_t ticks;
        if (!read_line(line, &cpu, &ticks))
            continue;
        if (!has_own || (cpu < CPU_SETSIZE && CPU_ISSET(cpu, &own)))
            sum = (sum < 0 ? 0 : sum) + ticks * tick_ns;
    }
    fclose(file);
    return sum;
}
