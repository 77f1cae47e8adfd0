/* run: the thread that waits for signals, and what it shares with the one that does the rest. */
#include "server/run.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/handler.h"
#include "server/orphans.h"
#include "server/server.h"
#include "server/terminal.h"

enum phase { STARTING, SERVING, ENDING, ENDED };

struct run {
    const struct run_plan *plan;
    pthread_t thread;
    int status;           /* what live() has returned; read after the join */
    int stop_fd;          /* eventfd: readable once live() is to stop */
    int reload_fd;        /* eventfd: SIGHUP has come */
    int status_fd;        /* eventfd: SIGUSR1 has come */
    int changed_fd;       /* eventfd: the phase has changed */
    int timer_fd;         /* readable once the server's time is over */
    int asked_fd;         /* eventfd: readable, for good, once somebody wants a stop */
    int64_t due_ms;       /* when live() must have ended; CLOCK_NEVER. The waiting thread's */
    pthread_mutex_t lock; /* guards all that follows; held for server_stop() */
    enum phase phase;
    bool stopped;
    struct server *server; /* while one runs */
};

/* Reports orphans; -1: this process is given none. Set by run_open_signals(). */
static int orphans_fd = -1;
/* Those that are blocked, and so read. These two never change after the start. */
static sigset_t read_signals;
static bool had_terminal;

/* ---- signals ---- */

static bool is_ignored(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int run_open_signals(void)
{
    static const int known[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    sigemptyset(&read_signals);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!is_ignored(known[i])) /* nohup, or a shell's background */
            sigaddset(&read_signals, known[i]);
    signal(SIGPIPE, SIG_IGN); /* the log's reader may leave */
    signal(SIGXFSZ, SIG_IGN); /* the log may not grow any further */
    signal(SIGCHLD, SIG_DFL); /* ignored, it would keep nobody's exit status */
    pthread_sigmask(SIG_BLOCK, &read_signals, NULL);
    had_terminal = terminal_is_there();
    orphans_fd = orphans_open();
    return signalfd(-1, &read_signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Ends the process as that signal ends a process. */
static _Noreturn void end_by_signal(int number)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, number);
    signal(number, SIG_DFL);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    _exit(128 + number); /* process 1 is not killed by its own signals */
}

/* ---- for live() ---- */

int run_stop_fd(const struct run *run) { return run->stop_fd; }

int run_reload_fd(const struct run *run) { return run->reload_fd; }

int run_status_fd(const struct run *run) { return run->status_fd; }

bool run_is_stopped(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    bool stopped = run->stopped;
    pthread_mutex_unlock(&run->lock);
    return stopped;
}

void run_stop(struct run *run) { eventfd_write(run->asked_fd, 1); }

static void enter(struct run *run, enum phase phase, struct server *server)
{
    pthread_mutex_lock(&run->lock);
    run->phase = phase;
    run->server = server;
    if (server && run->stopped)
        server_stop(server);
    pthread_mutex_unlock(&run->lock);
    eventfd_write(run->changed_fd, 1);
}

int run_server(struct run *run, struct server *server, int64_t run_for_ms)
{
    struct itimerspec spec = {.it_value = {run_for_ms / 1000, run_for_ms % 1000 * 1000000}};
    timerfd_settime(run->timer_fd, 0, &spec, NULL);
    enter(run, SERVING, server);
    int left = server_run(server);
    int why = errno;
    enter(run, ENDING, NULL);
    errno = why;
    return left;
}

static void *live(void *argument)
{
    struct run *run = argument;
    run->status = run->plan->live(run, run->plan->context);
    enter(run, ENDED, NULL);
    return NULL;
}

/* ---- the thread that waits ---- */

static void give_time(struct run *run) { run->due_ms = clock_ms() + run->plan->patience_ms; }

/* The first time; later calls do nothing. */
static void stop(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    bool first = !run->stopped;
    run->stopped = true;
    if (first && run->server)
        server_stop(run->server);
    if (first && run->phase == STARTING)
        give_time(run);
    pthread_mutex_unlock(&run->lock);
    eventfd_write(run->stop_fd, 1);
}

/* Returns the phase. A server has a limit of its own. */
static enum phase take_change(struct run *run)
{
    eventfd_t changes;
    pthread_mutex_lock(&run->lock);
    enum phase phase = eventfd_read(run->changed_fd, &changes) == 0 ? run->phase : STARTING;
    pthread_mutex_unlock(&run->lock);
    if (phase == SERVING)
        run->due_ms = CLOCK_NEVER;
    else if (phase == ENDING)
        give_time(run);
    return phase;
}

/* When a terminal goes, this may come twice, from the kernel and from a shell: the second one is no
 * reason to end at once. */
static void take_hang_up(struct run *run)
{
    if (had_terminal && !terminal_is_there())
        stop(run);
    else
        eventfd_write(run->reload_fd, 1);
}

static void take_signal(struct run *run)
{
    static const struct timespec now;
    int number = sigtimedwait(&read_signals, NULL, &now);
    if (number < 0)
        return;
    if (number == SIGHUP) {
        take_hang_up(run);
    } else if (number == SIGUSR1) {
        eventfd_write(run->status_fd, 1);
    } else if (run_is_stopped(run)) {
        handler_abort(run->plan->kind);
        end_by_signal(number);
    } else {
        stop(run);
    }
}

/* Returns whether live() has ended; if not, its time is over. */
static bool wait_for_end(struct run *run, int signal_fd)
{
    struct pollfd fds[] = {{run->changed_fd, POLLIN, 0},
                           {signal_fd, POLLIN, 0},
                           {run->timer_fd, POLLIN, 0},
                           {orphans_fd, POLLIN, 0},
                           {run->asked_fd, POLLIN, 0}};
    for (;;) {
        int ready = clock_poll(fds, sizeof fds / sizeof *fds, &run->due_ms);
        orphans_reap(orphans_fd);
        if (ready > 0 && fds[0].revents && take_change(run) == ENDED)
            return true;
        if (ready > 0 && fds[1].revents)
            take_signal(run);
        if (ready > 0 && fds[2].revents) {
            stop(run);
            fds[2].fd = -1; /* it stays readable */
        }
        if (ready > 0 && fds[4].revents) {
            stop(run);
            fds[4].fd = -1;
        }
        if (ready == 0 && clock_ms() >= run->due_ms)
            return false;
    }
}

/* ---- both ---- */

static bool open_run(struct run *run)
{
    run->stop_fd = eventfd(0, EFD_CLOEXEC);
    run->reload_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    run->status_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    run->changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    run->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    run->asked_fd = eventfd(0, EFD_CLOEXEC);
    if (run->stop_fd < 0 || run->reload_fd < 0 || run->status_fd < 0 || run->changed_fd < 0 ||
        run->timer_fd < 0 || run->asked_fd < 0)
        return false;
    errno = pthread_create(&run->thread, NULL, live, run);
    return errno == 0;
}

static void close_run(const struct run *run)
{
    const int fds[] = {run->stop_fd,    run->reload_fd, run->status_fd,
                       run->changed_fd, run->timer_fd,  run->asked_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

int run(const struct run_plan *plan, int signal_fd)
{
    static struct run run; /* a live() that is left behind goes on to use it */
    int why = 0;
    run = (struct run){
        .plan = plan,
        .due_ms = CLOCK_NEVER,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .status = RUN_NOT_STARTED,
    };
    if (!open_run(&run)) {
        why = errno;
    } else if (wait_for_end(&run, signal_fd)) {
        pthread_join(run.thread, NULL);
    } else {
        handler_abort(plan->kind);
        return RUN_LEFT_BEHIND;
    }
    close_run(&run);
    errno = why;
    return run.status;
}
