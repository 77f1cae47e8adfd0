/*
 * job: the signals that a terminal and its shell send to the program in the foreground, read
 * instead of handled in place.
 */
#ifndef BANTER_CLIENT_JOB_H
#define BANTER_CLIENT_JOB_H

#include <signal.h>
#include <stdbool.h>

struct job {
    int fd; /* signalfd; to be polled */
    sigset_t before;
};

/* Takes over SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT and SIGWINCH; SIGPIPE is ignored,
 * since it would end us with the terminal in our hands, and a failed write tells the same. False
 * with errno set on failure. */
bool job_init(struct job *job);

/* All as it was, but for SIGPIPE. */
void job_fini(struct job *job);

/* The next signal that came; 0: none. */
int job_signal(struct job *job);

/* Stops as after Control-Z; the terminal must be as it was found. False where that can't be, since
 * no shell would go on with it; otherwise SIGCONT follows. */
bool job_stop(void);

/* Ends as that signal ends a program; the terminal must be as it was found. */
void job_die_of(struct job *job, int number);

#endif
