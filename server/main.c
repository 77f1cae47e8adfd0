/* banterd: reads the options, opens the log, the handler and the server, and runs the server. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer_pool.h"
#include "common/clock.h"
#include "server/admin/admin.h"
#include "server/admin/manager.h"
#include "server/engine/cpus.h"
#include "server/log/journal.h"
#include "server/log/log.h"
#include "server/options.h"
#include "server/run.h"
#include "server/server.h"
#include "server/services.h"

/* What closing may take behind the drain's time: a program is killed after two seconds. */
enum { CLOSE_GRACE_MS = 4000 };

enum status {
    STATUS_STOPPED = 0,
    STATUS_NOT_STARTED = 1,
    STATUS_LEFT_BEHIND = 2,
    STATUS_USAGE = 64,
};

static enum status fail(enum status status, const char *what, const char *why)
{
    fprintf(stderr, "%s%s%s\n", journal_is_at(STDERR_FILENO) ? "<3>" : "", what, why);
    return status;
}

static enum status print(const char *text)
{
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
        return fail(STATUS_NOT_STARTED,
                    "banterd: unable to write to standard output: ", strerror(errno));
    return STATUS_STOPPED;
}

static enum status print_help(void)
{
    char *help = options_help();
    enum status status =
        help ? print(help) : fail(STATUS_NOT_STARTED, "banterd: ", strerror(ENOMEM));
    free(help);
    return status;
}

/* What lives as long as the process serves, or longer. */
struct life {
    struct run *run;
    const struct options *options;
    struct log *log;
    struct admin *admin;
    struct manager *manager; /* NULL: there is none */
    int64_t started_ns;      /* CLOCK_MONOTONIC */
};

/* Runs an open server, with what answers beside it, and closes it. */
static enum status run_open(const struct life *life, struct server *server, struct handler *handler)
{
    struct error error;
    struct services services;
    const struct services_host host = {
        .options = life->options,
        .run = life->run,
        .admin = life->admin,
        .manager = life->manager,
        .log = life->log,
        .server = server,
        .handler = handler,
        .started_ns = life->started_ns,
    };
    if (!services_open(&services, &host, &error)) {
        server_close(server);
        return fail(STATUS_NOT_STARTED, "banterd: ", error.text);
    }
    int left = run_server(life->run, server, life->options->run_for_ms);
    int failure = errno;
    services_close(&services);
    server_close(server);
    if (left < 0)
        return fail(STATUS_NOT_STARTED, "Thread did not start. Error : ", strerror(failure));
    if (left > 0)
        handler_abort(life->options->handler.kind);
    return left > 0 ? STATUS_LEFT_BEHIND : STATUS_STOPPED;
}

/* Runs the server with a handler that is open, and closes it, unless threads are left in it. */
static enum status serve(const struct life *life, struct handler *handler)
{
    struct error error;
    enum server_failure cause;
    struct server_config config = life->options->config;
    config.handler = handler;
    config.log = life->log;
    config.stop_fd = run_stop_fd(life->run);
    config.ready = manager_ready;
    config.ready_context = life->manager;
    services_prepare(life->options, &config);
    struct server *server = server_open(&config, &cause, &error);
    if (!server) {
        handler_close(handler);
        return fail(STATUS_NOT_STARTED,
                    cause == SERVER_NOT_BOUND ? "Bind failed. Error : " : "banterd: ", error.text);
    }
    return run_open(life, server, handler);
}

static enum status open_and_serve(const struct life *life)
{
    static struct handler handler; /* its threads that are left behind go on to use it */
    const struct options *options = life->options;
    struct error error;
    struct handler_host host = {
        .log = life->log,
        .handler_timeout_ms = options->config.handler_timeout_ms,
        .cores = cpus_count(),
        .lines = frame_codec_is_one_line(frame_codec_of_requests(options->config.codec)),
        .max_message = options->config.max_message,
        .one_line = frame_codec_is_one_line(options->config.codec),
        .stop_fd = run_stop_fd(life->run),
    };
    if (handler_open(&handler, &options->handler, &host, &error))
        return serve(life, &handler);
    if (run_is_stopped(life->run))
        return STATUS_STOPPED;
    return fail(STATUS_NOT_STARTED, "banterd: ", error.text);
}

static enum status with_admin(struct life *life)
{
    life->admin = admin_open();
    if (!life->admin)
        return fail(STATUS_NOT_STARTED, "banterd: unable to open the server: ", strerror(errno));
    life->manager = manager_open(life->admin, &life->options->terms, run_stop_fd(life->run));
    enum status status = open_and_serve(life);
    manager_close(life->manager);
    admin_close(life->admin);
    return status;
}

static int live(struct run *run, void *context)
{
    struct life life = {.run = run, .options = context, .started_ns = clock_ns(CLOCK_MONOTONIC)};
    const struct options *options = life.options;
    struct error error;
    struct log_style style = {options->log_format, journal_is_at(STDOUT_FILENO)};
    life.log = log_open(STDOUT_FILENO, options->log_level, style, &error);
    if (!life.log)
        return fail(STATUS_NOT_STARTED, "banterd: ", error.text);
    enum status status = with_admin(&life);
    if (!log_stop(life.log))
        _exit(status);                /* the log's thread is left behind, too */
    if (status != STATUS_LEFT_BEHIND) /* those threads may still log */
        log_free(life.log);
    return status;
}

/* Says so only if that can't take any time: nobody would wait for signals meanwhile. */
static enum status leave_behind(void)
{
    static const char text[] = "<3>banterd: the handler did not end in time, and is left behind\n";
    const char *begin = journal_is_at(STDERR_FILENO) ? text : strchr(text, 'b');
    struct pollfd output = {STDERR_FILENO, POLLOUT, 0};
    ssize_t written = 0;
    if (poll(&output, 1, 0) == 1 && output.revents == POLLOUT)
        written = write(STDERR_FILENO, begin, strlen(begin));
    (void) written;
    return STATUS_LEFT_BEHIND;
}

static enum status live_with_signals(struct options *options, int signal_fd)
{
    struct run_plan plan = {
        .live = live,
        .context = options,
        .kind = options->handler.kind,
        .patience_ms = options->config.drain_timeout_ms + CLOSE_GRACE_MS,
    };
    int status = run(&plan, signal_fd);
    if (status == RUN_LEFT_BEHIND)
        return leave_behind();
    if (status == RUN_NOT_STARTED)
        return fail(STATUS_NOT_STARTED, "Thread did not start. Error : ", strerror(errno));
    return (enum status) status;
}

/* If the caller has closed a standard descriptor, a socket would get its number, and the log would
 * go to a client. */
static void open_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* What large buffers held goes back to the system when they are freed, so that --max-memory bounds
 * what the process holds too. By itself the library would keep ever larger ones, between others.
 * What that costs, clearing the pages of the next one, the pool saves. */
static void give_back_large_buffers(void) { mallopt(M_MMAP_THRESHOLD, BUFFER_POOL_LEAST); }

static enum status follow(struct options *options)
{
    if (options->help)
        return print_help();
    if (options->version)
        return print("banterd " BANTER_VERSION "\n");
    struct error error;
    if (!options_take_sockets(options, &error) || !options_open_tls(options, &error) ||
        !options_open_nats(options, &error))
        return fail(STATUS_NOT_STARTED, "banterd: ", error.text);
    options->terms = manager_read_terms();
    int signal_fd = run_open_signals(); /* before there are threads, which inherit the mask */
    if (signal_fd < 0)
        return fail(STATUS_NOT_STARTED, "banterd: unable to read signals: ", strerror(errno));
    enum status status = live_with_signals(options, signal_fd);
    if (status == STATUS_LEFT_BEHIND)
        _exit(status); /* exit(3) would take apart what the threads left behind may still use */
    close(signal_fd);
    return status;
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    give_back_large_buffers();
    static struct options options; /* which threads that are left behind may still use */
    struct error error;
    enum status status = options_parse(&options, argc, argv, &error)
                             ? follow(&options)
                             : fail(STATUS_USAGE, "banterd: ", error.text);
    options_free(&options);
    return status;
}
