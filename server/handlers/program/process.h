/*
 * program_process: one running process of the program: its pipes, its standard error (which goes to
 * the log), and its end: nobody stays behind, neither in its group nor as a zombie, and no
 * descriptor either.
 *
 * Only the program handler's own thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_PROCESS_H
#define BANTER_SERVER_HANDLERS_PROGRAM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/handlers/program/spawn.h"

struct log_ring;
struct process;
struct worker;

/* A descriptor that epoll watches; what it reports points here. */
struct channel {
    struct process *process; /* NULL: the handler's own eventfd */
    int fd;                  /* -1: closed */
};

enum process_phase {
    PROCESS_RUNS,
    PROCESS_INPUT_CLOSED, /* it may end by itself for a while */
    PROCESS_TERMINATED,   /* its group has got SIGTERM */
    PROCESS_KILLED,       /* its group has got SIGKILL */
    PROCESS_DEAD,         /* freed when the batch of events is over */
};

struct process {
    struct process *next, *previous; /* in processes.all */
    struct process *next_dead;
    struct group group;
    struct worker *worker; /* for whom it works; NULL: it is being ended */
    uint64_t number;
    enum process_phase phase;
    bool reaped;        /* the leader is; others may be left in the group */
    int64_t due_ms;     /* when the next phase begins */
    struct channel end; /* a pidfd */
    struct channel input, output, errors;
    struct buffer line; /* of its standard error, begun and not ended */
    bool line_cut;      /* the rest of that line is thrown away */
};

/* All processes of one handler. */
struct processes {
    struct recipe recipe;
    int epoll_fd;
    struct log_ring *log;
    struct process *all, *dead;
    int64_t now_ms;         /* when this batch of events began */
    int64_t due_ms;         /* nothing is to be done before it, by processes and workers */
    char scratch[64 << 10]; /* for one read */
};

/* Lowers due_ms. */
static inline void processes_schedule(struct processes *processes, int64_t at_ms)
{
    if (at_ms < processes->due_ms)
        processes->due_ms = at_ms;
}

/* Starts one. NULL: `*failure` is the errno of what failed. */
struct process *process_start(struct processes *processes, uint64_t number, struct worker *worker,
                              int *failure);

/* Watches its input for room, or no more. */
bool process_watch_input(struct processes *processes, struct process *process, bool watch);

/* Closes a channel; one that is closed is left alone. */
void channel_close(struct channel *channel);

/* The leader has ended: how, as words behind "the program". */
void process_describe_end(const struct process *process, char *text, size_t size);

/* Ends it: nobody works with it any more. Gently: by the end of its input, and only after a
 * second by SIGTERM. */
void process_end(struct processes *processes, struct process *process, bool gently);

/* What epoll reported for one that nobody works with, or for the standard error of any. */
void process_exited(struct processes *processes, struct process *process);
void process_discard_output(struct processes *processes, struct process *process);
void process_log_errors(struct processes *processes, struct process *process);

/* Does what is due, and schedules what is next. */
void processes_act(struct processes *processes);

/* Frees those that have gone: at the end of a batch. */
void processes_sweep(struct processes *processes);

#endif
