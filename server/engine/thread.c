/* thread: files of /proc/self/task/TID, and sched_setattr(2), which glibc has no function for. */
#include "server/engine/thread.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    TEXT_SIZE = 128,
    /* nice(1)'s: a share so small that no other thread ever looks greedy beside it */
    LOWEST_PRIORITY = 19,
    /* The shortest that the kernel takes. A thread that wakes up goes before one that runs if its
     * slice would end earlier and it has not just had more than its share. */
    INTERACTIVE_SLICE_NS = 100000,
    /* The kernel's default. Longer slices would mean fewer switches, but with many threads of
     * little weight the average by which the kernel judges who had too much then leaps by more than
     * the heavy ones can wait. */
    DEFAULT_SLICE_NS = 0,
};

/* ---- /proc ---- */

/* Reads the beginning of one of the thread's files, as a string. False: no such thread or file. */
static bool read_file(pid_t tid, const char *name, char text[TEXT_SIZE])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int) tid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, TEXT_SIZE - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    return true;
}

bool thread_is_asleep(pid_t tid)
{
    char text[TEXT_SIZE];
    if (!read_file(tid, "stat", text))
        return false;
    /* Behind the name, which stands in brackets and may hold some itself. */
    const char *state = strrchr(text, ')');
    return state && (strncmp(state, ") S", 3) == 0 || strncmp(state, ") D", 3) == 0);
}

int64_t thread_waited_ns(pid_t tid)
{
    char text[TEXT_SIZE];
    /* Its time on a core, its time in a queue for one, its time slices. */
    const char *waited = read_file(tid, "schedstat", text) ? strchr(text, ' ') : NULL;
    return waited ? strtoll(waited, NULL, 10) : 0;
}

/* ---- scheduling ---- */

static void set_attributes(pid_t tid, int priority, uint64_t slice_ns)
{
    struct sched_attr attributes = {
        .size = sizeof attributes,
        .sched_flags = SCHED_FLAG_KEEP_POLICY,
        .sched_nice = priority,
        .sched_runtime = slice_ns,
    };
    /* If it fails the threads stay as the kernel schedules them by default. */
    syscall(SYS_sched_setattr, tid, &attributes, 0);
}

void thread_sched_interactive(void)
{
    set_attributes(0, getpriority(PRIO_PROCESS, 0), INTERACTIVE_SLICE_NS);
}

void thread_sched_background(pid_t tid) { set_attributes(tid, LOWEST_PRIORITY, DEFAULT_SLICE_NS); }
