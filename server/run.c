/* run: the thread that serves, and the one that waits for signals meanwhile. */
#include "server/run.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/server.h"

/* What the two threads share. */
struct run {
    struct server *server;
    int ended_fd;         /* eventfd: the server has run, and is closed */
    int left;             /* the result of server_run(); read after the join */
    pthread_mutex_t lock; /* guards `over`; held for server_stop(), so that the server is open */
    bool over;            /* server_run() has returned */
};

/* ---- signals ---- */

int run_open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    signal(SIGPIPE, SIG_IGN); /* the log's reader may leave */
    signal(SIGXFSZ, SIG_IGN); /* the log may not grow any further */
    signal(SIGCHLD, SIG_DFL); /* ignored, it would keep nobody's exit status */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

bool run_is_stopped(int signal_fd)
{
    struct pollfd poll_fd = {signal_fd, POLLIN, 0};
    return poll(&poll_fd, 1, 0) > 0;
}

/* Ends the process as that signal ends a process. */
static void end_by_signal(int number)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, number);
    signal(number, SIG_DFL);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

/* ---- the thread that serves ---- */

static void *serve(void *argument)
{
    struct run *run = argument;
    run->left = server_run(run->server);
    pthread_mutex_lock(&run->lock);
    run->over = true;
    pthread_mutex_unlock(&run->lock);
    /* In this thread, since a program may take a while to end, and a second signal must be seen
     * meanwhile. */
    server_close(run->server);
    eventfd_write(run->ended_fd, 1);
    return NULL;
}

/* ---- the thread that waits ---- */

static void stop(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    if (!run->over)
        server_stop(run->server);
    pthread_mutex_unlock(&run->lock);
}

/* Stops the server at the first signal, or when its time is over; returns when it has ended. */
static void wait_for_end(struct run *run, struct handler *handler, int signal_fd,
                         int64_t run_for_ms)
{
    struct pollfd fds[] = {{run->ended_fd, POLLIN, 0}, {signal_fd, POLLIN, 0}};
    int64_t end_ms = run_for_ms ? clock_ms() + run_for_ms : 0;
    bool stopping = false;
    while (!fds[0].revents) {
        int64_t left_ms = end_ms - clock_ms();
        int timeout_ms = !end_ms || stopping ? -1 : left_ms > 0 ? (int) left_ms : 0;
        int ready = poll(fds, 2, timeout_ms);
        struct signalfd_siginfo received;
        if (ready > 0 && fds[1].revents && read(signal_fd, &received, sizeof received) > 0 &&
            stopping) {
            handler_abort(handler);
            end_by_signal((int) received.ssi_signo);
        }
        if (ready == 0 || (ready > 0 && fds[1].revents)) {
            stop(run);
            stopping = true;
        }
    }
}

int run_until_signal(struct server *server, const struct handler *handler, int signal_fd,
                     int64_t run_for_ms, int *failure)
{
    struct run run = {
        .server = server,
        .ended_fd = eventfd(0, EFD_CLOEXEC),
        .left = -1,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    /* A second signal may come while the server closes its handler, so abort() needs a copy. */
    struct handler opened = *handler;
    pthread_t thread = 0;
    *failure = run.ended_fd < 0 ? errno : pthread_create(&thread, NULL, serve, &run);
    if (*failure) {
        server_close(server);
        return -1;
    }
    wait_for_end(&run, &opened, signal_fd, run_for_ms);
    pthread_join(thread, NULL);
    close(run.ended_fd);
    if (run.left > 0)
        handler_abort(&opened);
    return run.left;
}
