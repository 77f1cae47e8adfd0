/* program_process: life and death of a process. */
#include "server/handlers/program/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/log/log.h"

enum {
    GENTLE_MS = 1000,      /* from the end of its input to SIGTERM */
    TERM_MS = 1000,        /* from SIGTERM to SIGKILL */
    LOOK_MS = 50,          /* how often to look whether a group whose leader has gone is empty */
    LINE_MAX_BYTES = 4096, /* of standard error; more of a line is cut */
    LAST_READS = 32,       /* of standard error, when the process has ended */
};

/* ---- channels ---- */

void channel_close(struct channel *channel)
{
    if (channel->fd >= 0)
        close(channel->fd);
    channel->fd = -1;
}

static bool watch(struct processes *processes, struct channel *channel, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = channel};
    return epoll_ctl(processes->epoll_fd, EPOLL_CTL_ADD, channel->fd, &event) == 0;
}

bool process_watch_input(struct processes *processes, struct process *process, bool wanted)
{
    if (wanted)
        return watch(processes, &process->input, EPOLLOUT);
    return epoll_ctl(processes->epoll_fd, EPOLL_CTL_DEL, process->input.fd, NULL) == 0;
}

/* ---- start ---- */

static struct process *process_new(struct processes *processes, uint64_t number,
                                   struct worker *worker)
{
    struct process *process = calloc(1, sizeof *process);
    if (!process)
        return NULL;
    process->number = number;
    process->worker = worker;
    process->due_ms = INT64_MAX;
    process->next = processes->all;
    if (processes->all)
        processes->all->previous = process;
    processes->all = process;
    return process;
}

static void process_remove(struct processes *processes, struct process *process)
{
    if (process->previous)
        process->previous->next = process->next;
    else
        processes->all = process->next;
    if (process->next)
        process->next->previous = process->previous;
    process->phase = PROCESS_DEAD;
    process->next_dead = processes->dead;
    processes->dead = process;
}

struct process *process_start(struct processes *processes, uint64_t number, struct worker *worker,
                              int *failure)
{
    struct process *process = process_new(processes, number, worker);
    struct spawned spawned;
    *failure =
        process ? recipe_spawn(&processes->recipe, number, &process->group, &spawned) : ENOMEM;
    if (*failure) {
        if (process)
            process_remove(processes, process);
        return NULL;
    }
    process->end = (struct channel){process, spawned.pid_fd};
    process->input = (struct channel){process, spawned.input_fd};
    process->output = (struct channel){process, spawned.output_fd};
    process->errors = (struct channel){process, spawned.errors_fd};
    if (watch(processes, &process->end, EPOLLIN) && watch(processes, &process->output, EPOLLIN) &&
        watch(processes, &process->errors, EPOLLIN)) {
        char text[80];
        int size = snprintf(text, sizeof text, "%llu started, process %d",
                            (unsigned long long) number, (int) process->group.id);
        log_put(processes->log, LOG_WORKER_STARTED, 0, text, (size_t) size);
        return process;
    }
    *failure = errno;
    group_signal(&process->group, SIGKILL);
    waitpid(process->group.id, NULL, 0);
    group_forget(&process->group);
    channel_close(&process->end);
    channel_close(&process->input);
    channel_close(&process->output);
    channel_close(&process->errors);
    process_remove(processes, process);
    return NULL;
}

/* ---- standard error ---- */

static void log_line(struct processes *processes, struct process *process)
{
    char text[LINE_MAX_BYTES + 64];
    int prefix = snprintf(text, 40, "%llu: ", (unsigned long long) process->number);
    size_t size = buffer_size(&process->line);
    if (size > 0)
        memcpy(text + prefix, buffer_head(&process->line), size);
    log_put(processes->log, LOG_WORKER, 0, text, (size_t) prefix + size);
    buffer_clear(&process->line);
}

/* Adds a piece of a line, which has no newline in it. */
static void add_to_line(struct process *process, const char *text, size_t size)
{
    static const char dots[] = "...";
    size_t room = LINE_MAX_BYTES - buffer_size(&process->line);
    if (process->line_cut)
        return;
    buffer_append(&process->line, text, size < room ? size : room);
    if (size > room) {
        process->line_cut = true;
        buffer_append(&process->line, dots, sizeof dots - 1);
    }
}

static void log_text(struct processes *processes, struct process *process, const char *text,
                     size_t size)
{
    const char *newline;
    while (size > 0 && (newline = memchr(text, '\n', size))) {
        size_t length = (size_t) (newline - text);
        add_to_line(process, text, length);
        log_line(processes, process);
        process->line_cut = false;
        text += length + 1;
        size -= length + 1;
    }
    add_to_line(process, text, size);
}

/* False when nothing is left to be read for now, or for ever. */
static bool read_errors(struct processes *processes, struct process *process)
{
    if (process->errors.fd < 0)
        return false;
    ssize_t got = read(process->errors.fd, processes->scratch, sizeof processes->scratch);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR;
    if (got <= 0) {
        if (buffer_size(&process->line) > 0)
            log_line(processes, process);
        channel_close(&process->errors);
        return false;
    }
    log_text(processes, process, processes->scratch, (size_t) got);
    return true;
}

void process_log_errors(struct processes *processes, struct process *process)
{
    read_errors(processes, process);
}

/* ---- the end ---- */

void process_describe_end(const struct process *process, char *text, size_t size)
{
    siginfo_t info = {0};
    waitid(P_PIDFD, (id_t) process->end.fd, &info, WEXITED | WNOHANG | WNOWAIT);
    if (info.si_code == CLD_EXITED)
        snprintf(text, size, "ended with status %d", info.si_status);
    else
        snprintf(text, size, "was killed by signal %d", info.si_status);
}

static void terminate(struct processes *processes, struct process *process)
{
    channel_close(&process->input);
    channel_close(&process->output);
    group_signal(&process->group, SIGTERM);
    process->phase = PROCESS_TERMINATED;
    process->due_ms = processes->now_ms + TERM_MS;
    processes_schedule(processes, process->due_ms);
}

void process_end(struct processes *processes, struct process *process, bool gently)
{
    process->worker = NULL;
    if (!gently) {
        terminate(processes, process);
        return;
    }
    /* What it still writes is read, so that it does not fail at its end. */
    channel_close(&process->input);
    process->phase = PROCESS_INPUT_CLOSED;
    process->due_ms = processes->now_ms + GENTLE_MS;
    processes_schedule(processes, process->due_ms);
}

void process_discard_output(struct processes *processes, struct process *process)
{
    ssize_t got = read(process->output.fd, processes->scratch, sizeof processes->scratch);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        channel_close(&process->output);
}

static void last_words(struct processes *processes, struct process *process)
{
    for (int reads = 0; reads < LAST_READS && read_errors(processes, process); reads++)
        continue;
    if (buffer_size(&process->line) > 0)
        log_line(processes, process);
    buffer_fini(&process->line);
    channel_close(&process->errors);
}

void process_exited(struct processes *processes, struct process *process)
{
    last_words(processes, process);
    if (process->phase == PROCESS_RUNS || process->phase == PROCESS_INPUT_CLOSED)
        terminate(processes,
                  process); /* the rest of its group, before its number could be another one's */
    bool gone = group_reap(&process->group, process->end.fd);
    process->reaped = true;
    channel_close(&process->end);
    if (!gone && process->phase == PROCESS_KILLED) {
        group_forget(&process->group);
        gone = true;
    }
    if (gone)
        process_remove(processes, process);
    else
        processes_schedule(processes, processes->now_ms + LOOK_MS);
}

/* The time of its phase is over. */
static void next_phase(struct processes *processes, struct process *process)
{
    if (process->phase == PROCESS_INPUT_CLOSED) {
        terminate(processes, process);
        return;
    }
    group_signal(&process->group, SIGKILL);
    process->phase = PROCESS_KILLED;
    process->due_ms = INT64_MAX;
    if (process->reaped) {
        group_forget(&process->group);
        process_remove(processes, process);
    }
}

void processes_act(struct processes *processes)
{
    for (struct process *process = processes->all, *next; process; process = next) {
        next = process->next;
        if (process->reaped && group_is_gone(&process->group)) {
            process_remove(processes, process);
            continue;
        }
        if (process->due_ms <= processes->now_ms)
            next_phase(processes, process);
        if (process->phase != PROCESS_DEAD) {
            processes_schedule(processes, process->due_ms);
            if (process->reaped)
                processes_schedule(processes, processes->now_ms + LOOK_MS);
        }
    }
}

void processes_sweep(struct processes *processes)
{
    while (processes->dead) {
        struct process *process = processes->dead;
        processes->dead = process->next_dead;
        free(process);
    }
}
