/* instance: the life and death of one process. */
#include "server/handlers/program/instance.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/log/log.h"

enum {
    GENTLE_MS = 1000,      /* from the end of its input to SIGTERM */
    TERM_MS = 1000,        /* from SIGTERM to SIGKILL */
    CHECK_MS = 50,         /* how often to check whether a group without its leader is empty */
    LINE_MAX_BYTES = 4096, /* of standard error; longer lines are cut */
    ERRORS_BYTES = 8192,   /* a read of standard error: replies come between two of them */
    LAST_READS = 32,       /* of standard error, once the process has ended */
};

/* ---- channels ---- */

bool channel_watch(struct instances *instances, struct channel *channel, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = channel};
    return epoll_ctl(instances->epoll_fd, EPOLL_CTL_ADD, channel->fd, &event) == 0;
}

void channel_close(struct instances *instances, struct channel *channel)
{
    if (channel->fd < 0)
        return;
    /* Explicitly: a child between clone and exec may still hold it. */
    epoll_ctl(instances->epoll_fd, EPOLL_CTL_DEL, channel->fd, NULL);
    close(channel->fd);
    channel->fd = -1;
}

bool instance_watch_input(struct instances *instances, struct instance *instance, bool wanted)
{
    if (wanted)
        return channel_watch(instances, &instance->input, EPOLLOUT);
    return epoll_ctl(instances->epoll_fd, EPOLL_CTL_DEL, instance->input.fd, NULL) == 0;
}

void instance_close_input(struct instances *instances, struct instance *instance)
{
    look_close(&instance->look);
    channel_close(instances, &instance->input);
}

/* ---- start ---- */

static struct instance *instance_new(struct instances *instances, uint64_t number)
{
    struct instance *instance = calloc(1, sizeof *instance);
    if (!instance)
        return NULL;
    instance->number = number;
    instance->due_ms = INT64_MAX;
    LIST_INSERT_HEAD(&instances->all, instance, entry);
    instances->count++;
    return instance;
}

static void instance_remove(struct instances *instances, struct instance *instance)
{
    LIST_REMOVE(instance, entry);
    instances->count--;
    instance->phase = INSTANCE_DEAD;
    SLIST_INSERT_HEAD(&instances->dead, instance, dead_entry);
}

struct instance *instance_start(struct instances *instances, uint64_t number,
                                const struct spawn_options *options, int *failure)
{
    struct instance *instance = instance_new(instances, number);
    struct spawned spawned = {-1, -1, -1, -1}; /* gcc cannot see that failure is checked */
    *failure =
        instance ? spawn(instances->command, options, number, &instance->group, &spawned) : ENOMEM;
    if (*failure) {
        if (instance)
            instance_remove(instances, instance);
        return NULL;
    }
    instance->end = (struct channel){CHANNEL_END, spawned.pid_fd, instance};
    instance->input = (struct channel){CHANNEL_INPUT, spawned.input_fd, instance};
    instance->output = (struct channel){CHANNEL_OUTPUT, spawned.output_fd, instance};
    instance->errors = (struct channel){CHANNEL_ERRORS, spawned.errors_fd, instance};
    look_open(&instance->look, instance->group.id, spawned.input_fd);
    if (channel_watch(instances, &instance->end, EPOLLIN) &&
        channel_watch(instances, &instance->output, EPOLLIN) &&
        (spawned.errors_fd < 0 || channel_watch(instances, &instance->errors, EPOLLIN))) {
        char text[80];
        int size = snprintf(text, sizeof text, "%llu started, process %d",
                            (unsigned long long) number, (int) instance->group.id);
        log_put(instances->log, LOG_WORKER_STARTED, 0, text, (size_t) size);
        return instance;
    }
    *failure = errno;
    group_kill(&instance->group);
    channel_close(instances, &instance->end);
    instance_close_input(instances, instance);
    channel_close(instances, &instance->output);
    channel_close(instances, &instance->errors);
    instance_remove(instances, instance);
    return NULL;
}

/* ---- input and output ---- */

size_t instance_unread(const struct instance *instance)
{
    int unread = 0;
    return ioctl(instance->input.fd, FIONREAD, &unread) == 0 ? (size_t) unread : 0;
}

ssize_t instance_read(struct instances *instances, struct instance *instance)
{
    struct channel *output = &instance->output;
    ssize_t got;
    do {
        got = output->fd >= 0 ? read(output->fd, instances->scratch, sizeof instances->scratch) : 0;
    } while (got < 0 && errno == EINTR);
    if (got > 0 || (got < 0 && errno == EAGAIN))
        return got > 0 ? got : 0;
    /* A terminal ends like that. */
    if (got < 0 && !(instances->spawn.pty && errno == EIO))
        instance->unreadable = true;
    channel_close(instances, output);
    return -1;
}

void instance_give_pipes(struct instances *instances, struct instance *instance, int *input_fd,
                         int *output_fd)
{
    epoll_ctl(instances->epoll_fd, EPOLL_CTL_DEL, instance->output.fd, NULL);
    look_close(&instance->look);
    *input_fd = instance->input.fd;
    *output_fd = instance->output.fd;
    instance->input.fd = instance->output.fd = -1;
}

void instance_take_output(struct instances *instances, struct instance *instance, int fd)
{
    instance->output.fd = fd;
    if (!channel_watch(instances, &instance->output, EPOLLIN))
        channel_close(instances, &instance->output);
}

void instance_log(const struct instances *instances, const struct instance *instance,
                  enum log_event event, const char *what, const char *text, size_t size)
{
    char line[LINE_MAX_BYTES];
    const char *newline = memchr(text, '\n', size);
    if (newline)
        size = (size_t) (newline - text);
    int prefix = snprintf(line, 200, "%llu %s: ", (unsigned long long) instance->number, what);
    size_t room = sizeof line - (size_t) prefix;
    size = size < room ? size : room;
    memcpy(line + prefix, text, size);
    log_put(instances->log, event, 0, line, (size_t) prefix + size);
}

/* ---- standard error ---- */

static void log_line(struct instances *instances, struct instance *instance)
{
    char text[LINE_MAX_BYTES + 64];
    int prefix = snprintf(text, 40, "%llu: ", (unsigned long long) instance->number);
    size_t size = buffer_size(&instance->line);
    if (size > 0)
        memcpy(text + prefix, buffer_head(&instance->line), size);
    if (size > 0 && text[prefix + (int) size - 1] == '\r')
        size--;
    log_put(instances->log, LOG_WORKER, 0, text, (size_t) prefix + size);
    if (size > 0)
        snprintf(instances->last_error, sizeof instances->last_error, "%.*s", (int) size,
                 text + prefix);
    buffer_clear(&instance->line);
}

/* Adds a piece of a line, without a newline. */
static void add_to_line(struct instance *instance, const char *text, size_t size)
{
    static const char dots[] = "...";
    size_t room = LINE_MAX_BYTES - buffer_size(&instance->line);
    if (instance->line_cut)
        return;
    buffer_append(&instance->line, text, size < room ? size : room);
    if (size > room) {
        instance->line_cut = true;
        buffer_append(&instance->line, dots, sizeof dots - 1);
    }
}

static void log_text(struct instances *instances, struct instance *instance, const char *text,
                     size_t size)
{
    const char *newline;
    while (size > 0 && (newline = memchr(text, '\n', size))) {
        size_t length = (size_t) (newline - text);
        add_to_line(instance, text, length);
        log_line(instances, instance);
        instance->line_cut = false;
        text += length + 1;
        size -= length + 1;
    }
    add_to_line(instance, text, size);
}

/* False if there is nothing to read now, or any more. */
static bool read_errors(struct instances *instances, struct instance *instance)
{
    if (instance->errors.fd < 0)
        return false;
    ssize_t got = read(instance->errors.fd, instances->scratch, ERRORS_BYTES);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR;
    if (got <= 0) {
        if (buffer_size(&instance->line) > 0)
            log_line(instances, instance);
        channel_close(instances, &instance->errors);
        return false;
    }
    log_text(instances, instance, instances->scratch, (size_t) got);
    return true;
}

void instance_log_errors(struct instances *instances, struct instance *instance)
{
    read_errors(instances, instance);
}

void instance_last_words(struct instances *instances, struct instance *instance)
{
    for (int reads = 0; reads < LAST_READS && read_errors(instances, instance); reads++)
        continue;
    if (buffer_size(&instance->line) > 0)
        log_line(instances, instance);
    buffer_fini(&instance->line);
    channel_close(instances, &instance->errors);
}

/* ---- the end ---- */

static siginfo_t end_of(const struct instance *instance)
{
    siginfo_t info = {0};
    waitid(P_PIDFD, (id_t) instance->end.fd, &info, WEXITED | WNOHANG | WNOWAIT);
    return info;
}

bool instance_ended_well(const struct instance *instance)
{
    siginfo_t info = end_of(instance);
    return info.si_code == CLD_EXITED && info.si_status == 0;
}

void instance_describe_end(const struct instance *instance, char *text, size_t size)
{
    siginfo_t info = end_of(instance);
    if (info.si_code == CLD_EXITED)
        snprintf(text, size, "ended with status %d", info.si_status);
    else
        snprintf(text, size, "was killed by signal %d", info.si_status);
}

/* The group, and the process itself, which may have left it. */
static void send_signal(const struct instance *instance, int number)
{
    group_signal(&instance->group, number);
    if (!instance->reaped && getpgid(instance->group.id) != instance->group.id)
        syscall(SYS_pidfd_send_signal, instance->end.fd, number, NULL, 0);
}

static void terminate(struct instances *instances, struct instance *instance)
{
    instance_close_input(instances, instance);
    channel_close(instances, &instance->output);
    send_signal(instance, SIGTERM);
    instance->phase = INSTANCE_TERMINATED;
    instance->due_ms = instances->now_ms + TERM_MS;
    instances_schedule(instances, instance->due_ms);
}

void instance_end(struct instances *instances, struct instance *instance, bool gently)
{
    instance->worker = NULL;
    instance->oneshot = NULL;
    if (!gently) {
        terminate(instances, instance);
        return;
    }
    /* Its output is still read, so that it does not fail while it ends. */
    instance_close_input(instances, instance);
    instance->phase = INSTANCE_INPUT_CLOSED;
    instance->due_ms = instances->now_ms + GENTLE_MS;
    instances_schedule(instances, instance->due_ms);
}

void instance_discard_output(struct instances *instances, struct instance *instance)
{
    instance_read(instances, instance);
}

void instance_exited(struct instances *instances, struct instance *instance)
{
    instance_last_words(instances, instance);
    /* The rest of its group, now: after the reap the group's number may be another one's. */
    if (instance->phase == INSTANCE_RUNS || instance->phase == INSTANCE_INPUT_CLOSED)
        terminate(instances, instance);
    bool gone = group_reap(&instance->group, instance->end.fd);
    instance->reaped = true;
    channel_close(instances, &instance->end);
    if (!gone && instance->phase == INSTANCE_KILLED) {
        group_forget(&instance->group);
        gone = true;
    }
    if (gone)
        instance_remove(instances, instance);
    else
        instances_schedule(instances, instances->now_ms + CHECK_MS);
}

/* Its time in this phase is over. */
static void next_phase(struct instances *instances, struct instance *instance)
{
    if (instance->phase == INSTANCE_INPUT_CLOSED) {
        terminate(instances, instance);
        return;
    }
    send_signal(instance, SIGKILL);
    instance->phase = INSTANCE_KILLED;
    instance->due_ms = INT64_MAX;
    if (instance->reaped) {
        group_forget(&instance->group);
        instance_remove(instances, instance);
    }
}

void instances_act(struct instances *instances)
{
    for (struct instance *instance = LIST_FIRST(&instances->all), *next; instance;
         instance = next) {
        next = LIST_NEXT(instance, entry); /* this one may be removed */
        if (instance->reaped && group_is_gone(&instance->group)) {
            instance_remove(instances, instance);
            continue;
        }
        if (instance->due_ms <= instances->looked_ms)
            next_phase(instances, instance);
        if (instance->phase != INSTANCE_DEAD) {
            instances_schedule(instances, instance->due_ms);
            if (instance->reaped)
                instances_schedule(instances, instances->now_ms + CHECK_MS);
        }
    }
}

/* ---- all instances ---- */

bool instances_init(struct instances *instances, const struct command *command,
                    const struct spawn_options *options, struct log *log)
{
    *instances = (struct instances){
        .command = command,
        .spawn = *options,
        .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
        .log = log_ring_new(log),
        .due_ms = INT64_MAX,
    };
    return instances->epoll_fd >= 0;
}

void instances_fini(struct instances *instances)
{
    if (instances->epoll_fd >= 0)
        close(instances->epoll_fd);
    log_ring_free(instances->log);
}

void instances_update_time(struct instances *instances, int64_t until_ms)
{
    int64_t clock_us = clock_ns(CLOCK_MONOTONIC) / 1000;
    instances->paused_ms += clock_paused_ms(clock_us / 1000, until_ms);
    instances->now_us = clock_us - instances->paused_ms * 1000;
    instances->now_ms = instances->now_us / 1000;
}

void instances_sweep(struct instances *instances)
{
    while (!SLIST_EMPTY(&instances->dead)) {
        struct instance *instance = SLIST_FIRST(&instances->dead);
        SLIST_REMOVE_HEAD(&instances->dead, dead_entry);
        free(instance);
    }
}
