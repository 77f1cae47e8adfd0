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

#include "server/clock.h"
#include "server/log.h"
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
    int ended_fd; /* eventfd: server_run() has returned */
    int left;     /* what it returned; read after the join */
};

static int fail(enum status status, const char *what, const char *why)
{
    fprintf(stderr, "%s%s\n", what, why);
    return (int) status;
}

/* Before any thread is there, so that all of them have these signals blocked. SIGPIPE, since who reads the log may
 * leave. */
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
    eventfd_write(run->ended_fd, 1);
    return NULL;
}

/* Stops the server at the first signal, or when its time is over; returns when it has ended. */
static void wait_for_end(struct run *run, int signal_fd, int64_t run_for_ms)
{
    struct pollfd fds[] = {{run->ended_fd, POLLIN, 0}, {signal_fd, POLLIN, 0}};
    int64_t end_ms = run_for_ms ? clock_ms() + run_for_ms : 0;
    bool stopping = false;
    while (!fds[0].revents) {
        int64_t left = end_ms - clock_ms();
        int wait = !end_ms || stopping ? -1 : left > 0 ? (int) left : 0;
        int ready = poll(fds, 2, wait);
        struct signalfd_siginfo signal_info;
        if (ready > 0 && fds[1].revents && read(signal_fd, &signal_info, sizeof signal_info) > 0 && stopping)
            end_at_once((int) signal_info.ssi_signo);
        if (ready == 0 || (ready > 0 && fds[1].revents)) {
            server_stop(run->server);
            stopping = true;
        }
    }
}

static int serve(struct server *server, int signal_fd, int64_t run_for_ms)
{
    struct run run = {.server = server, .ended_fd = eventfd(0, EFD_CLOEXEC), .left = -1};
    pthread_t thread;
    int failure = run.ended_fd < 0 ? errno : pthread_create(&thread, NULL, run_server, &run);
    if (failure)
        return fail(STATUS_NOT_STARTED, "Thread did not start. Error : ", strerror(failure));
    wait_for_end(&run, signal_fd, run_for_ms);
    pthread_join(thread, NULL);
    close(run.ended_fd);
    return run.left > 0 ? STATUS_LEFT_BEHIND : run.left < 0 ? STATUS_NOT_STARTED : STATUS_STOPPED;
}

static int start(struct options *options, int signal_fd)
{
    struct error error;
    enum server_failure failure;
    struct handler handler = {0};
    if (!handler_open(&handler, options->handler, &error))
        return fail(STATUS_NOT_STARTED, "banterd: ", error.text);
    struct log *log = log_open(STDOUT_FILENO, options->log_level, &error);
    if (!log)
        return fail(STATUS_NOT_STARTED, "banterd: ", error.text);
    options->config.handler = &handler;
    options->config.log = log;
    struct server *server = server_open(&options->config, &failure, &error);
    int status;
    if (server)
        status = serve(server, signal_fd, options->run_for_ms);
    else
        status = fail(STATUS_NOT_STARTED, failure == SERVER_NOT_BOUND ? "Bind failed. Error : " : "banterd: ",
                      error.text);
    server_close(server);
    handler_close(&handler);
    log_close(log);
    return status;
}

static int print(const char *text)
{
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
        return fail(STATUS_NOT_STARTED, "banterd: unable to write to standard output: ", strerror(errno));
    return STATUS_STOPPED;
}

static int print_help(void)
{
    char *help = options_help();
    int status = help ? print(help) : fail(STATUS_NOT_STARTED, "banterd: ", strerror(ENOMEM));
    free(help);
    return status;
}

/* A descriptor that was closed by the caller would be given to a socket, and the log would go to a client. */
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
