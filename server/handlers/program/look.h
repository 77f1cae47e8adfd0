/*
 * look: tells from /proc whose turn it is: whether a process waits for its next request. It only
 * observes; the process is not stopped, traced or slowed.
 *
 * A process that was given a request writes whatever it has to say and then asks for the next one:
 * it blocks in a read of its standard input. Three facts, in this order, make that certain:
 *
 *   1. its input is empty (FIONREAD on the writing end);
 *   2. it has one thread, asleep in a read of that input, and no living child;
 *   3. the caller then reads its output until EAGAIN.
 *
 * The order decides. A process that was just woken by a request still shows the read that it was
 * asleep in. That its input is empty proves that it has been awake since; a read that is seen after
 * that is its next one, and all that it had to write is in its output by then. With 1 and 2
 * exchanged, both can be true of a process that has only begun. look_at() does 1 and 2.
 *
 * What this can't see: a signal handler that writes (an alarm); processes that have left the
 * family (forked twice); a freeze by a control group that hits the process just as it returns from
 * its read (see freezer.h).
 *
 * Any thread may call these; a struct look has one owner.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_LOOK_H
#define BANTER_SERVER_HANDLERS_PROGRAM_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum look_state {
    /* It runs, or waits for something that comes by itself: a time-out, a disk, a reply. Also if it
     * is stopped, traced or frozen, has ended, or has not read all of its input. */
    LOOK_WORKS,
    /* Likely to wait for its next request: all its threads, and those of all processes below it,
     * are asleep until something happens outside: in poll, epoll_wait or select without a time-out,
     * futex, wait4, sigsuspend or pause, in a read of its input, or, except for its first thread,
     * of any pipe. */
    LOOK_RESTS,
    /* Certain to wait for its next request. */
    LOOK_WAITS,
    /* It is asleep, and the system does not say in what: a process of another user, no /proc, no
     * permission, or a program for another kind of machine (32 bits). */
    LOOK_UNKNOWN,
};

/* Up to five descriptors, which stay valid, and of this process, until look_close(). */
struct look {
    pid_t pid;
    int input_fd;    /* the caller's: the end that it writes */
    char input[32];  /* "pipe:[7]", as /proc names the process's standard input */
    int folder_fd;   /* /proc/PID; this and the next four: -1 if it can't be opened */
    int syscall_fd;  /* its files: what the process is asleep in */
    int stat_fd;     /* its state */
    int tasks_fd;    /* the folder of its threads */
    int children_fd; /* of its first thread */
    /* Until then it is known that it is not traced, and that this descriptor is its input. */
    int64_t sure_until_us;
    uint64_t sure_fd;
    /* What the last look has found in which all else spoke for LOOK_WAITS: why it only rests. */
    bool has_threads;
    bool has_children; /* living ones */
    /* Why the last look did not find LOOK_WAITS, to follow "the program"; NULL: it did. */
    const char *why;
};

/* Prepares for looks at a child of this process, which has not been reaped yet, and after its exec:
 * before that it shows this process's memory and permissions. `input_fd` is the end of a pipe that
 * the child reads, and stays open until look_close().
 *
 * Returns 0, or the errno of what failed; then look_at() may be called and finds LOOK_UNKNOWN at
 * best. */
int look_open(struct look *look, pid_t pid, int input_fd);

void look_close(struct look *look);

/* Looks at it now. For a process that runs this costs an ioctl and a pread; for one that waits, a
 * little more, and twice as much once in a millisecond; for one that rests, opening three files for
 * each thread and process. */
enum look_state look_at(struct look *look);

#endif
