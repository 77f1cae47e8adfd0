/*
 * run: the life of banterd's process, in two threads. One waits for signals from the start to the
 * end and does nothing that could hang; the other opens, serves and closes.
 */
#ifndef BANTER_SERVER_RUN_H
#define BANTER_SERVER_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct handler_kind;
struct run;
struct server;

/* Blocks the signals that stop the server, or ask it for something, in this thread and in all that
 * it starts from now on, but for those that are ignored already, which stay so; ignores those that
 * only a failed write(2) raises, and lets SIGCHLD not be ignored. As process 1 orphans are waited
 * for, from run() on.
 * Returns a descriptor that reports them, or -1 with errno set. */
int run_open_signals(void);

struct run_plan {
    /* All that the process does; the result is its exit status. In a thread of its own. */
    int (*live)(struct run *run, void *context);
    void *context;
    const struct handler_kind *kind; /* aborted if the process ends before live() does */
    /* How long live() may go on after the signal while no server runs, or after the server's end.
     */
    int64_t patience_ms;
};

/* Calls live() and waits for its end. The first SIGTERM or SIGINT stops it; a second one ends the
 * process at once, whatever live() is doing. SIGHUP stops it if the terminal has gone that the
 * process was started from; else it asks for files to be read anew. SIGUSR1 asks for a status.
 *
 * Returns its result. RUN_LEFT_BEHIND: its time was over; it still runs, so the process must end by
 * _exit(2). RUN_NOT_STARTED, with errno set: it was not called. */
int run(const struct run_plan *plan, int signal_fd);
enum { RUN_LEFT_BEHIND = -1, RUN_NOT_STARTED = -2 };

/* For live(): readable, for good, once a signal has come. */
int run_stop_fd(const struct run *run);

/* For live(): readable when files are to be read anew, or a status is to be logged, until it is
 * read as eventfds are; they don't block. */
int run_reload_fd(const struct run *run);
int run_status_fd(const struct run *run);

/* For live(): whether it is to stop. */
bool run_is_stopped(struct run *run);

/* From any thread, while live() runs: stops as the first signal does. Returns at once; more than
 * once is as once. */
void run_stop(struct run *run);

/* For live(): server_run(), until a signal comes or `run_for_ms` are over (0: never). Returns its
 * result. */
int run_server(struct run *run, struct server *server, int64_t run_for_ms);

#endif
