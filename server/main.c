/* banterd: options, signals, exit status. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/engine/cpus.h"
#include "server/log/log.h"
#include "server/options.h"
#include "server/server.h"

enum status {
    STATUS_STOPPED = 0,
    STATUS_NOT_STARTED = 1,
    STATUS_LEFT_BEHIND = 2,
    STATUS_USAGE = 64,
};

/* What main and the thread that runs the server share. */
struct run {
    struct server *server;
    int ended_fd; /* eventfd: the server has run, and is closed */
    int left;     /* what server_run() returned; read after the join */
    /* guards `over` and the call of server_stop(): the server is not closed during it */
    pthread_mutex_t lock;
    bool over; /* server_run() has returned */
};

static int fail(enum status status, const char *what, const char *why)
{
    fprintf(stderr, "%s%s\n", what, why);
    return (int) status;
}

/* Before any thread is there, so that all of them have these signals blocked. SIGPIPE, since who
 * reads the log may leave. */
static int open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

/* A second signal: no more patience. The process ends as that signal ends a process. */
static void end_at_once(int number)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, number);
    signal(number, SIG_DFL);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

static void *run_server(void *argument)
{
    struct run *run = argument;
    run->left = server_run(run->server);
    pthread_mutex_lock(&run->lock);
    run->over = true;
    pthread_mutex_unlock(&run->lock);
    /* Here, since it may take a while until a program has ended, and a second signal is to be
     * heard meanwhile. */
    server_close(run->server);
    eventfd_write(run->ended_fd, 1);
    return NULL;
}

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
        int64_t left = end_ms - clock_ms();
        int wait = !end_ms || stopping ? -1 : left > 0 ? (int) left : 0;
        int ready = poll(fds, 2, wait);
        struct signalfd_siginfo signal_info;
        if (ready > 0 && fds[1].revents && read(signal_fd, &signal_info, sizeof signal_info) > 0 &&
            stopping) {
            handler_abort(handler);
            end_at_once((int) signal_info.ssi_signo);
        }
        if (ready == 0 || (ready > 0 && fds[1].revents)) {
            stop(run);
            stopping = true;
        }
    }
}

/* Runs the server to its end, and closes it. */
static int serve(struct server *server, struct handler *handler, int signal_fd, int64_t run_for_ms)
{
    struct run run = {.server = server,
                      .ended_fd = eventfd(0, EFD_CLOEXEC),
                      .left = -1,
                      .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread = 0;
    int failure = run.ended_fd < 0 ? errno : pthread_create(&thread, NULL, run_server, &run);
    if (failure) {
        server_close(server);
        return fail(STATUS_NOT_STARTED, "Thread did not start. Error : ", strerror(failure));
    }
    wait_for_end(&run, handler, signal_fd, run_for_ms);
    pthread_join(thread, NULL);
    close(run.ended_fd);
    if (run.left > 0)
        handler_abort(handler);
    return run.left > 0 ? STATUS_LEFT_BEHIND : run.left < 0 ? STATUS_NOT_STARTED : STATUS_STOPPED;
}

/* Opens the server and runs it. `handler` is open, and closed when this returns, unless threads
 * are left in it. */
static int open_and_serve(const struct options *options, struct handler *handler, struct log *log,
                          int signal_fd)
{
    struct error error;
    enum server_failure failure;
    /* The server closes its handler; a second signal may come while it does, and what it ends is
     * all that runs. */
    struct handler opened = *handler;
    struct server_config config = options->config;
    config.handler = handler;
    config.log = log;
    struct server *server = server_open(&config, &failure, &error);
    if (server)
        return serve(server, &opened, signal_fd, options->run_for_ms);
    handler_close(handler);
    return fail(STATUS_NOT_STARTED,
                failure == SERVER_NOT_BOUND ? "Bind failed. Error : " : "banterd: ", error.text);
}

static int start(const struct options *options, int signal_fd)
{
    struct error error;
    struct handler handler = {0};
    struct log *log = log_open(STDOUT_FILENO, options->log_level, &error);
    if (!log)
        return fail(STATUS_NOT_STARTED, "banterd: ", error.text);
    struct handler_host host = {log, options->config.handler_timeout_ms, cpus_count()};
    int status;
    if (handler_open(&handler, &options->handler, &host, &error))
        status = open_and_serve(options, &handler, log, signal_fd);
    else
        status = fail(STATUS_NOT_STARTED, "banterd: ", error.text);
    log_stop(log);
    if (status != STATUS_LEFT_BEHIND) /* they may still log */
        log_free(log);
    return status;
}

static int print(const char *text)
{
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
        return fail(STATUS_NOT_STARTED,
                    "banterd: unable to write to standard output: ", strerror(errno));
    return STATUS_STOPPED;
}

static int print_help(void)
{
    char *help = options_help();
    int status = help ? print(help) : fail(STATUS_NOT_STARTED, "banterd: ", strerror(ENOMEM));
    free(help);
    return status;
}

/* A descriptor that was closed by the caller would be given to a socket, and the log would go to
 * a client. */
static void open_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    struct options options;
    struct error error;
    if (!options_parse(&options, argc, argv, &error))
        return fail(STATUS_USAGE, "banterd: ", error.text);
    if (options.help)
        return print_help();
    if (options.version)
        return print("banterd " BANTER_VERSION "\n");
    int signal_fd = open_signals();
    if (signal_fd < 0)
        return fail(STATUS_NOT_STARTED, "banterd: unable to read signals: ", strerror(errno));
    int status = start(&options, signal_fd);
    if (status == STATUS_LEFT_BEHIND)
        _exit(status); /* exit(3) would take apart what the threads left behind may still use */
    close(signal_fd);
    return status;
}
