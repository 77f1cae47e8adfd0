/*
 * instance: one running process of the program: its pipes, its standard error (which goes to
 * the log), and its end: nobody stays behind, neither in its group nor as a zombie, and no
 * descriptor either.
 *
 * Only the program handler's own thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_INSTANCE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buffer.h"
#include "server/handlers/program/spawn.h"

struct log;
struct log_ring;
struct instance;
struct worker;

enum channel_kind {
    CHANNEL_WAKE,   /* the handler's eventfd: another thread has something for this one */
    CHANNEL_END,    /* a pidfd: the process has ended */
    CHANNEL_INPUT,  /* its standard input has room */
    CHANNEL_OUTPUT, /* it has written to its standard output */
    CHANNEL_ERRORS, /* it has written to its standard error */
};

/* A descriptor that epoll watches; events point here. */
struct channel {
    enum channel_kind kind;
    int fd;                    /* -1: closed */
    struct instance *instance; /* NULL: CHANNEL_WAKE */
};

enum instance_phase {
    INSTANCE_RUNS,
    INSTANCE_INPUT_CLOSED, /* it may end by itself for a while */
    INSTANCE_TERMINATED,   /* its group has got SIGTERM */
    INSTANCE_KILLED,       /* its group has got SIGKILL */
    INSTANCE_DEAD,         /* freed when the batch of events is over */
};

struct instance {
    LIST_ENTRY(instance) entry;       /* in instances.all */
    SLIST_ENTRY(instance) dead_entry; /* in instances.dead */
    struct group group;
    struct worker *worker; /* for whom it works; NULL: it is being ended */
    uint64_t number;
    enum instance_phase phase;
    bool reaped;        /* the leader is; others may be left in the group */
    int64_t due_ms;     /* when the next phase begins */
    struct channel end; /* a pidfd */
    struct channel input, output, errors;
    struct buffer line; /* of its standard error, begun and not ended */
    bool line_cut;      /* the rest of that line is thrown away */
};

/* All instances of one handler. */
struct instances {
    struct command *command;
    int epoll_fd;
    struct log_ring *log; /* NULL: no log */
    LIST_HEAD(, instance) all;
    SLIST_HEAD(, instance) dead; /* not in `all` any more; freed when the batch is over */
    int64_t now_ms;              /* when this batch of events began */
    int64_t due_ms;              /* nothing is to be done before it, by instances and workers */
    char scratch[64 << 10];      /* for one read */
};

/* False, with errno set, if descriptors are out; instances_fini() must follow in both cases. The log
 * may be NULL. */
bool instances_init(struct instances *instances, struct command *command, struct log *log);

/* None is left. */
void instances_fini(struct instances *instances);

/* Lowers due_ms. */
static inline void instances_schedule(struct instances *instances, int64_t at_ms)
{
    if (at_ms < instances->due_ms)
        instances->due_ms = at_ms;
}

/* Starts one. NULL: `*failure` is the errno of what failed. */
struct instance *instance_start(struct instances *instances, uint64_t number, struct worker *worker,
                                int *failure);

/* Watches its input for room, or no more. */
bool instance_watch_input(struct instances *instances, struct instance *instance, bool watch);

/* Reports the events (EPOLLIN, EPOLLOUT) from now on. False, with errno set, if memory is out. */
bool channel_watch(struct instances *instances, struct channel *channel, uint32_t events);

/* Closes a channel; one that is closed is left alone. */
void channel_close(struct channel *channel);

/* The leader has ended: how, as words behind "the program". */
void instance_describe_end(const struct instance *instance, char *text, size_t size);

/* Ends it: nobody works with it any more. Gently: by the end of its input, and only after a
 * second by SIGTERM. */
void instance_end(struct instances *instances, struct instance *instance, bool gently);

/* What epoll reported for one that nobody works with, or for the standard error of any. */
void instance_exited(struct instances *instances, struct instance *instance);
void instance_discard_output(struct instances *instances, struct instance *instance);
void instance_log_errors(struct instances *instances, struct instance *instance);

/* Does what is due, and schedules what is next. */
void instances_act(struct instances *instances);

/* Frees those that have gone: at the end of a batch. */
void instances_sweep(struct instances *instances);

#endif
