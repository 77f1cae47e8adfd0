/* patience: longer slices, and no thread is interrupted by its waking up. */
#include "server/handlers/program/patience.h"

#include <ctype.h>
#include <dirent.h>
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
    SLICE_NS = 20000000, /* several times the kernel's default */
    TEXT_MAX = 1024,     /* of a list of children */
    DEPTH_MAX = 4,       /* generations of processes */
};

static void set_policy(pid_t tid, unsigned policy, unsigned slice_ns)
{
    struct sched_attr attributes = {
        .size = sizeof attributes,
        .sched_policy = policy,
        .sched_nice = getpriority(PRIO_PROCESS, (id_t) tid),
        .sched_runtime = slice_ns, /* 0: the kernel's default */
    };
    syscall(SYS_sched_setattr, tid, &attributes, 0);
}

void patience_begin(pid_t pid) { set_policy(pid, SCHED_BATCH, SLICE_NS); }

static void end_process(pid_t pid, int depth);

static void end_children(int tasks_fd, const char *task, int depth)
{
    char path[32], text[TEXT_MAX], *next = text, *end;
    snprintf(path, sizeof path, "%.16s/children", task);
    int fd = openat(tasks_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    text[size > 0 ? size : 0] = '\0';
    for (long child; (child = strtol(next, &end, 10)) > 0; next = end)
        end_process((pid_t) child, depth + 1);
}

static void end_process(pid_t pid, int depth)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/task", (int) pid);
    DIR *tasks = depth < DEPTH_MAX ? opendir(path) : NULL;
    if (!tasks)
        return;
    for (struct dirent *entry; (entry = readdir(tasks));)
        if (isdigit((unsigned char) entry->d_name[0])) {
            set_policy((pid_t) strtol(entry->d_name, NULL, 10), SCHED_NORMAL, 0);
            end_children(dirfd(tasks), entry->d_name, depth);
        }
    closedir(tasks);
}

bool process_is_asleep(pid_t pid)
{
    char path[32], text[TEXT_MAX];
    snprintf(path, sizeof path, "/proc/%d/stat", (int) pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    text[size > 0 ? size : 0] = '\0';
    /* Behind the name, which stands in brackets and may hold some itself. */
    const char *state = strrchr(text, ')');
    return state && strncmp(state, ") S", 3) == 0;
}

void patience_end(pid_t pid) { end_process(pid, 0); }
