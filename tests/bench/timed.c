/*
 * timed: runs a command some times, one after the other, and tells how long it took and how much
 * memory its largest process had.
 *
 *     timed RUNS COMMAND [ARGUMENT]...
 *
 * The command's standard input and output are /dev/null, unless it redirects them itself. Writes
 * one line of JSON. What Python could tell about its children would include its own memory: a
 * process inherits its peak from the one that starts it, and this one is small.
 *
 * Exit: 0 each run was good, 1 one was not, 64 usage.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/histogram.h"
#include "tests/handlers/work.h"

extern char **environ;

static double ms(uint64_t ns) { return (double) ns / 1e6; }

/* Its wait status, or -1. */
static int run(char **command, struct rusage *usage)
{
    posix_spawn_file_actions_t actions;
    pid_t child = -1;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    const int failure = posix_spawnp(&child, command[0], &actions, NULL, command, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) {
        fprintf(stderr, "timed: unable to start %s: %s\n", command[0], strerror(failure));
        return -1;
    }
    return wait4(child, &status, 0, usage) == child ? status : -1;
}

int main(int argc, char **argv)
{
    static struct histogram times; /* too large for a stack */
    char *end = NULL;
    const long runs = argc < 3 ? 0 : strtol(argv[1], &end, 10);
    if (runs < 1 || *end != '\0') {
        fputs("usage: timed RUNS COMMAND [ARGUMENT]...\n", stderr);
        return EX_USAGE;
    }
    long peak_kb = 0;
    uint64_t sum = 0;
    for (long i = 0; i < runs; i++) {
        struct rusage usage = {0};
        const uint64_t start = work_clock_ns();
        const int status = run(argv + 2, &usage);
        const uint64_t time = work_clock_ns() - start;
        if (status != 0) {
            fprintf(stderr, "timed: run %ld of %s ended with status %#x\n", i + 1, argv[2],
                    (unsigned) status);
            return EXIT_FAILURE;
        }
        histogram_add(&times, time);
        sum += time;
        peak_kb = usage.ru_maxrss > peak_kb ? usage.ru_maxrss : peak_kb;
    }
    printf("{\"runs\": %ld, \"mean_ms\": %.3f, \"p50_ms\": %.3f, \"max_ms\": %.3f, "
           "\"peak_kb\": %ld}\n",
           runs, ms(sum) / (double) runs, ms(histogram_quantile(&times, HISTOGRAM_WHOLE / 2)),
           ms(times.max), peak_kb);
    return EXIT_SUCCESS;
}
