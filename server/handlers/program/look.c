/* look: what the files of /proc say, and what it means. */
#include "server/handlers/program/look.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "server/handlers/program/sleep.h"

enum {
    TEXT_MAX = 1024,  /* of a file of /proc */
    TASKS_MAX = 1024, /* threads in all processes; with more of them it is said to work */
    DEPTH_MAX = 16,   /* generations of processes */
    SURE_US = 1000,   /* how long what is costly to see is taken for granted */
};

/* Reads a file of /proc from its start. False, with errno set, if that fails. */
static bool read_text(int fd, char text[TEXT_MAX])
{
    ssize_t size = pread(fd, text, TEXT_MAX - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return size >= 0;
}

static bool read_file(int folder_fd, const char *name, char text[TEXT_MAX])
{
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool read = read_text(fd, text);
    int failure = errno;
    close(fd);
    errno = failure;
    return read;
}

/* ---- descriptors, state, children ---- */

/* Whether a descriptor of the process is `name`: "pipe:[7]" names one pipe, "pipe:" any. */
static bool reads_from(int folder_fd, uint64_t fd, const char *name)
{
    char path[32], target[32];
    snprintf(path, sizeof path, "fd/%llu", (unsigned long long) fd);
    ssize_t size = readlinkat(folder_fd, path, target, sizeof target);
    size_t length = strlen(name);
    return size >= (ssize_t) length && memcmp(target, name, length) == 0;
}

/* Finds the state, 'S' if it is asleep, and the number of threads in the text of a file `stat`:
 * `PID (NAME) S ...`; a name may have spaces and brackets. '\0' if there is none. */
static char state_of(const char *text, long *threads)
{
    enum { THREADS_FIELD = 20, STATE_FIELD = 3 };
    const char *at = strrchr(text, ')');
    if (!at || at[1] != ' ')
        return '\0';
    char state = *(at += 2);
    for (int field = STATE_FIELD; field < THREADS_FIELD && at; field++)
        if ((at = strchr(at, ' ')))
            at++;
    *threads = at ? strtol(at, NULL, 10) : 0;
    return state;
}

static bool is_alive(pid_t pid)
{
    char path[32], text[TEXT_MAX];
    long threads;
    snprintf(path, sizeof path, "/proc/%d/stat", (int) pid);
    if (!read_file(AT_FDCWD, path, text))
        return false;
    char state = state_of(text, &threads);
    return state != 'Z' && state != 'X';
}

/* Takes the next number from the text of a file `children`; 0: there is none. */
static pid_t next_child(const char **text)
{
    char *end;
    long pid = strtol(*text, &end, 10);
    *text = end;
    return (pid_t) pid;
}

/* Those that have ended and are not reaped don't count: no shell reaps what runs in its background
 * before its next command. */
static bool has_living_child(const char *text)
{
    pid_t child;
    while ((child = next_child(&text)) > 0)
        if (is_alive(child))
            return true;
    return false;
}

/* ---- all threads, and all processes below ---- */

struct walk {
    const struct look *look;
    unsigned tasks, depth;
    const char *why;
};

static enum look_state walk_process(struct walk *walk, int folder_fd, pid_t pid);

static enum look_state works(struct walk *walk, const char *why)
{
    walk->why = why;
    return LOOK_WORKS;
}

static enum look_state walk_child(struct walk *walk, pid_t pid)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d", (int) pid);
    int folder_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0)
        return errno == ENOENT ? LOOK_RESTS : LOOK_UNKNOWN; /* it has ended: nothing to wait for */
    walk->depth++;
    enum look_state state = walk_process(walk, folder_fd, pid);
    walk->depth--;
    close(folder_fd);
    return state;
}

/* The children of a thread that is asleep in some call. Any that works is enough to know; one that
 * the system does not describe is worse than one that rests. The end of a child is about to wake a
 * thread that waits for that, and where it waits for one and has none, that has just been so. */
static enum look_state walk_children(struct walk *walk, int folder_fd, pid_t task, enum sleep sleep,
                                     bool first)
{
    bool awaits = sleep == SLEEP_CHILDREN || sleep == SLEEP_SIGNAL;
    char path[48], text[TEXT_MAX];
    enum look_state all = LOOK_RESTS;
    snprintf(path, sizeof path, "task/%d/children", (int) task);
    if (!read_file(folder_fd, path, text))
        return LOOK_RESTS; /* the thread has ended, or the system has no such lists */
    const char *next = text;
    pid_t child;
    if (sleep == SLEEP_CHILDREN && first && !*text)
        return works(walk, "works");
    while (all != LOOK_WORKS && (child = next_child(&next)) > 0) {
        enum look_state state = walk_child(walk, child);
        if (awaits && state == LOOK_RESTS && !is_alive(child)) /* it may have ended meanwhile */
            return works(walk, "works");
        if (state != LOOK_RESTS)
            all = state;
    }
    return all;
}

/* Reading is resting for what is below in a pipeline, and for a thread that gets its work that way;
 * the first thread of the program that reads another pipe waits for what it has started itself. */
static bool may_read(const struct walk *walk, int folder_fd, uint64_t fd, bool first_of_all)
{
    return reads_from(folder_fd, fd, first_of_all ? walk->look->input : "pipe:");
}

static enum look_state walk_task(struct walk *walk, int folder_fd, pid_t pid, pid_t task)
{
    char path[48], text[TEXT_MAX];
    uint64_t fd = 0;
    bool first = task == pid;
    if (++walk->tasks > TASKS_MAX)
        return works(walk, "has too many threads and processes to look at");
    snprintf(path, sizeof path, "task/%d/syscall", (int) task);
    enum sleep sleep = read_file(folder_fd, path, text) ? sleep_of(text, &fd) : sleep_unread();
    if (sleep == SLEEP_UNKNOWN)
        return LOOK_UNKNOWN;
    if (sleep == SLEEP_NOT ||
        (sleep == SLEEP_READ && !may_read(walk, folder_fd, fd, first && !walk->depth)))
        return works(walk, walk->depth ? "has a child that works" : "has a thread that works");
    /* Another thread's children matter if it seems to wait for them. */
    return first || sleep != SLEEP_EVENT ? walk_children(walk, folder_fd, task, sleep, first)
                                         : LOOK_RESTS;
}

static enum look_state walk_tasks(struct walk *walk, int folder_fd, pid_t pid)
{
    enum look_state all = LOOK_RESTS;
    int fd = openat(folder_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *tasks = fd >= 0 ? fdopendir(fd) : NULL;
    if (!tasks) {
        if (fd >= 0)
            close(fd);
        return LOOK_UNKNOWN;
    }
    struct dirent *entry;
    while (all != LOOK_WORKS && (entry = readdir(tasks)))
        if (isdigit((unsigned char) *entry->d_name)) {
            pid_t task = (pid_t) strtol(entry->d_name, NULL, 10);
            enum look_state state = walk_task(walk, folder_fd, pid, task);
            if (state != LOOK_RESTS)
                all = state;
        }
    closedir(tasks);
    return all;
}

static enum look_state walk_process(struct walk *walk, int folder_fd, pid_t pid)
{
    char text[TEXT_MAX];
    long threads = 0;
    if (walk->depth > DEPTH_MAX)
        return works(walk, "has too many threads and processes to look at");
    if (!read_file(folder_fd, "stat", text))
        return errno == ESRCH ? LOOK_RESTS : LOOK_UNKNOWN;
    char state = state_of(text, &threads);
    if (walk->depth && (state == 'Z' || state == 'X'))
        return LOOK_RESTS;
    if (state != 'S')
        return works(walk, walk->depth ? "has a child that works" : "works");
    return threads == 1 ? walk_task(walk, folder_fd, pid, pid) : walk_tasks(walk, folder_fd, pid);
}

/* ---- looking ---- */

static enum look_state found(struct look *look, enum look_state state, const char *why)
{
    look->why = why;
    return state;
}

/* Only its state is known. Of several threads this shows the first. */
static enum look_state look_at_hidden(struct look *look)
{
    char text[TEXT_MAX];
    long threads;
    if (look->stat_fd < 0 || !read_text(look->stat_fd, text) || state_of(text, &threads) == 'S')
        return found(look, LOOK_UNKNOWN, "is not shown by the system");
    return found(look, LOOK_WORKS, "works");
}

static enum look_state look_around(struct look *look, const char *why)
{
    struct walk walk = {.look = look};
    enum look_state state = walk_process(&walk, look->folder_fd, look->pid);
    if (state == LOOK_UNKNOWN)
        return found(look, state, "has a child that is not shown by the system");
    return found(look, state, state == LOOK_WORKS ? walk.why : why);
}

/* The folder of its threads has a link for each, and the two of any folder. */
static bool has_threads(const struct look *look)
{
    struct stat status;
    return fstat(look->tasks_fd, &status) != 0 || status.st_nlink != 3;
}

/* Whether a signal has stopped it. Leaves that to be seen again. */
static bool is_stopped(const struct look *look)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t) look->pid, &info, WSTOPPED | WNOHANG | WNOWAIT) != 0 || info.si_pid;
}

static bool works_because(struct look *look, const char *why)
{
    found(look, LOOK_WORKS, why);
    return false;
}

/* Whether it is asleep, and the descriptor that it reads is its input. That it has other files as
 * descriptors, or a tracer, is looked for once in a millisecond only: each costs as much as all the
 * rest. */
static bool sleeps_in_its_input(struct look *look, uint64_t fd)
{
    char text[TEXT_MAX];
    long threads;
    int64_t now_us = clock_ns(CLOCK_MONOTONIC) / 1000;
    if (look->sure_until_us > now_us && look->sure_fd == fd)
        return !is_stopped(look) || works_because(look, "is stopped");
    look->sure_until_us = 0;
    if (!reads_from(look->folder_fd, fd, look->input))
        return works_because(look, "reads something else than its input");
    if (!read_text(look->stat_fd, text) || state_of(text, &threads) != 'S')
        return works_because(look, "is stopped");
    look->sure_until_us = now_us + SURE_US;
    look->sure_fd = fd;
    return true;
}

/* It is in a read, and its input was empty before that was seen. */
static enum look_state look_at_reader(struct look *look, uint64_t fd)
{
    char text[TEXT_MAX];
    if (!sleeps_in_its_input(look, fd))
        return LOOK_WORKS;
    /* In this order: a thread that ends after it was counted may have left a child. */
    look->has_threads = has_threads(look);
    if (look->has_threads)
        return look_around(look, "has several threads");
    if (look->children_fd < 0 || !read_text(look->children_fd, text))
        return look_around(look, "may have children: the system does not list them");
    look->has_children = has_living_child(text);
    if (look->has_children)
        return look_around(look, "has a child");
    return found(look, LOOK_WAITS, NULL);
}

enum look_state look_at(struct look *look)
{
    char text[TEXT_MAX];
    int unread;
    uint64_t fd = 0;
    look->has_threads = look->has_children = false;
    /* First of all: see the head of look.h. */
    if (ioctl(look->input_fd, FIONREAD, &unread) != 0 || unread > 0)
        return found(look, LOOK_WORKS, "has not read all of its input");
    if (look->syscall_fd < 0)
        return look_at_hidden(look);
    switch (read_text(look->syscall_fd, text) ? sleep_of(text, &fd) : sleep_unread()) {
    case SLEEP_NOT:
        return found(look, LOOK_WORKS, "works");
    case SLEEP_UNKNOWN:
        return look_at_hidden(look);
    case SLEEP_READ:
        return look_at_reader(look, fd);
    case SLEEP_SIGNAL:
    case SLEEP_CHILDREN:
        return look_around(look, "waits for a child or a signal");
    default:
        return look_around(look, "waits for more than its input");
    }
}

/* ---- opening ---- */

int look_open(struct look *look, pid_t pid, int input_fd)
{
    char path[48];
    struct stat status;
    *look = (struct look){.pid = pid, .input_fd = input_fd};
    snprintf(path, sizeof path, "/proc/%d", (int) pid);
    look->folder_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int failure = look->folder_fd < 0 ? errno : 0;
    look->stat_fd = openat(look->folder_fd, "stat", O_RDONLY | O_CLOEXEC);
    look->syscall_fd = openat(look->folder_fd, "syscall", O_RDONLY | O_CLOEXEC);
    if (!failure && (look->syscall_fd < 0 || look->stat_fd < 0))
        failure = errno;
    look->tasks_fd = openat(look->folder_fd, "task", O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "task/%d/children", (int) pid);
    look->children_fd = openat(look->folder_fd, path, O_RDONLY | O_CLOEXEC);
    if (fstat(input_fd, &status) != 0)
        return failure ? failure : errno;
    snprintf(look->input, sizeof look->input, "pipe:[%llu]", (unsigned long long) status.st_ino);
    return failure;
}

void look_close(struct look *look)
{
    descriptor_close(&look->folder_fd);
    descriptor_close(&look->syscall_fd);
    descriptor_close(&look->stat_fd);
    descriptor_close(&look->tasks_fd);
    descriptor_close(&look->children_fd);
}
