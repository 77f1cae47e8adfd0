/*
 * signals: the signals that end or stop the program, read from a descriptor (signalfd) instead of
 * handled in place.
 *
 * While they are taken over, a write into a pipe that nobody reads fails with EPIPE instead of
 * ending the program. Call from the main thread only.
 */
#ifndef BANTER_CLIENT_SIGNALS_H
#define BANTER_CLIENT_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

enum signals_set {
    SIGNALS_BATCH,    /* SIGINT, SIGTERM, SIGHUP */
    SIGNALS_TERMINAL, /* these, SIGQUIT, and those of job control and of the window's size */
};

struct signals {
    int fd; /* readable when a signal came; -1: there is none, and signals end us at once */
    sigset_t before;
};

/* Takes the signals over. One that can only end the program and was ignored when it started, as
 * under nohup(1), stays ignored. False with errno set when there is no descriptor. */
bool signals_init(struct signals *signals, enum signals_set set);

/* Restores everything. A signal that came and was not read now ends the program. */
void signals_fini(struct signals *signals);

/* The next signal that came; 0: none. */
int signals_next(struct signals *signals);

/* Stops the program as Control-Z does; the terminal must be as it was found. False if that can't
 * be, since no shell would continue it; otherwise SIGCONT follows. */
bool signals_stop(void);

/* Ends the program as that signal would have done. Calls signals_fini(). */
void signals_die_of(struct signals *signals, int number);

#endif
