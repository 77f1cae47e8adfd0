/*
 * run: a server's life within banterd. It serves in a thread of its own, until a signal or the end
 * of its time stops it.
 */
#ifndef BANTER_SERVER_RUN_H
#define BANTER_SERVER_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct handler;
struct server;

/* Blocks the signals that stop the server, in this thread and in all that it starts from now on,
 * and ignores SIGPIPE. Returns a descriptor that reports them, or -1 with errno set. */
int run_open_signals(void);

/* Whether such a signal has come. */
bool run_is_stopped(int signal_fd);

/* Serves until a signal comes or `run_for_ms` are over (0: never); then stops the server and closes
 * it. A second signal aborts `handler`, which is the server's, and ends the process.
 *
 * Returns how many threads are left behind in handlers, or -1 if no thread could be started:
 * `*failure` is the errno, or 0 if the server has logged it. */
int run_until_signal(struct server *server, const struct handler *handler, int signal_fd,
                     int64_t run_for_ms, int *failure);

#endif
