/* instance: the life of one process. */
#include "server/handlers/program/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "server/log/log.h"

enum {
    WIDE_BYTES = 256 << 10,
    MAX_WIDE = 64, /* pipes: a quarter of what a user's pipes may hold by default */
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

void instance_remove(struct instances *instances, struct instance *instance)
{
    LIST_REMOVE(instance, entry);
    instances->count--;
    instances->wide -= instance->input_is_wide + instance->output_is_wide;
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
        int size = snprintf(text, sizeof text, "%llu%c%d", (unsigned long long) number,
                            LOG_SEPARATOR, (int) instance->group.id);
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

static bool widen(struct instances *instances, int fd, bool *is_wide)
{
    if (*is_wide || instances->wide == MAX_WIDE || fcntl(fd, F_SETPIPE_SZ, (int) WIDE_BYTES) < 0)
        return false;
    *is_wide = true;
    instances->wide++;
    return true;
}

bool instance_widen_input(struct instances *instances, struct instance *instance)
{
    return widen(instances, instance->input.fd, &instance->input_is_wide);
}

size_t instance_unread(const struct instance *instance)
{
    int unread = 0;
    return ioctl(instance->input.fd, FIONREAD, &unread) == 0 ? (size_t) unread : 0;
}

/* A pipe's other end can be opened by the name of the first. */
int instance_open_reader(const struct instance *instance)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", instance->input.fd);
    return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

size_t instance_take_unread(const struct instance *instance)
{
    char bytes[4096];
    size_t taken = 0;
    ssize_t got;
    int fd = instance_open_reader(instance);
    while (fd >= 0 && (got = read(fd, bytes, sizeof bytes)) > 0)
        taken += (size_t) got;
    if (fd >= 0)
        close(fd);
    return taken;
}

ssize_t instance_read(struct instances *instances, struct instance *instance)
{
    struct channel *output = &instance->output;
    ssize_t got;
    do {
        got = output->fd >= 0 ? read(output->fd, instances->scratch, sizeof instances->scratch) : 0;
    } while (got < 0 && errno == EINTR);
    if (got == sizeof instances->scratch)
        widen(instances, output->fd, &instance->output_is_wide);
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
                  enum log_event event, const char *outcome, const char *text, size_t size)
{
    char line[INSTANCE_LINE_MAX];
    const char *newline = memchr(text, '\n', size);
    if (newline)
        size = (size_t) (newline - text);
    int prefix = snprintf(line, 200, "%llu%c%s", (unsigned long long) instance->number,
                          LOG_SEPARATOR, outcome);
    if (outcome[0])
        line[prefix++] = LOG_SEPARATOR;
    size_t room = sizeof line - (size_t) prefix;
    size = size < room ? size : room;
    memcpy(line + prefix, text, size);
    log_put(instances->log, event, 0, line, (size_t) prefix + size);
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
    descriptor_close(&instances->epoll_fd);
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
