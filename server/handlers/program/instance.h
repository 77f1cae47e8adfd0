/*
 * instance: one running process of the program, and its pipes. What it writes to its standard error
 * is instance_errors' business, how it ends instance_end's.
 *
 * Only the supervisor's thread calls these, except for init and fini.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_INSTANCE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buffer.h"
#include "server/handlers/program/look.h"
#include "server/handlers/program/scoreboard.h"
#include "server/handlers/program/spawn.h"
#include "server/log/events.h"

struct log;
struct log_ring;
struct instance;
struct oneshot;
struct talk;
struct worker;

/* Bytes of a line of its standard error, or of what is logged of it; longer ones are cut. */
enum { INSTANCE_LINE_MAX = 4096 };

enum channel_kind {
    CHANNEL_WAKE,   /* an eventfd: another thread has something for this one */
    CHANNEL_TIMER,  /* a timerfd: it is time for the next look */
    CHANNEL_END,    /* a pidfd: the process has ended */
    CHANNEL_INPUT,  /* its standard input has room */
    CHANNEL_OUTPUT, /* it has written to its standard output */
    CHANNEL_ERRORS, /* it has written to its standard error */
};

/* A descriptor that epoll watches; events point here. */
struct channel {
    enum channel_kind kind;
    int fd;                    /* -1: closed */
    struct instance *instance; /* NULL: CHANNEL_WAKE, CHANNEL_TIMER */
};

enum instance_phase {
    INSTANCE_RUNS,
    INSTANCE_INPUT_CLOSED, /* it has time to end by itself */
    INSTANCE_TERMINATED,   /* SIGTERM was sent to its group */
    INSTANCE_KILLED,       /* SIGKILL was sent to its group */
    INSTANCE_DEAD,         /* freed when the batch of events is over */
};

struct instance {
    LIST_ENTRY(instance) entry;       /* in instances.all */
    SLIST_ENTRY(instance) dead_entry; /* in instances.dead */
    struct group group;
    /* whose it is; all NULL: it is being ended */
    struct worker *worker;
    struct oneshot *oneshot;
    struct talk *talk;
    uint64_t number;
    enum instance_phase phase;
    bool is_replaced;                     /* its end is waited for (shared_restart.h) */
    bool reaped;                          /* its process is; others may be left in its group */
    bool unreadable;                      /* a read of its output has failed: some of it is lost */
    int64_t due_ms;                       /* when the next phase begins */
    struct channel end;                   /* a pidfd */
    struct channel input, output, errors; /* `errors` is closed if they go to `output` */
    bool input_is_wide, output_is_wide;   /* these pipes hold more than new ones */
    struct look look;                     /* good while `input` is open */
    struct buffer line;                   /* of its standard error, not ended yet */
    bool line_cut;                        /* the rest of that line is dropped */
};

/* All instances of one handler. */
struct instances {
    const struct command *command;
    struct spawn_options spawn; /* the same for all */
    int epoll_fd;
    struct log_ring *log;         /* NULL: no log */
    struct scoreboard scoreboard; /* whoever has an instance has a score; the caller's to init */
    LIST_HEAD(, instance) all;
    unsigned count;              /* of `all` */
    unsigned wide;               /* pipes that hold more than new ones */
    SLIST_HEAD(, instance) dead; /* not in `all` any more; freed when the batch is over */
    /* When this batch of events began, by a clock that stands still while the whole process does:
     * so all limits come later by a pause. What other threads read has the real one
     * (instances_clock_ms()). */
    int64_t now_us, now_ms;
    int64_t paused_ms; /* for how long it has, all in all */
    /* By this time limits are judged: all that epoll had to report then has been seen to. So what
     * waits in a pipe while the process stands still comes before any time-out. */
    int64_t looked_ms;
    int64_t due_ms;         /* no instance or worker needs to act before it */
    char last_error[256];   /* the last line that one wrote to its standard error, cut */
    char scratch[64 << 10]; /* for one read */
};

/* False, with errno set, if descriptors are out; instances_fini() must follow in both cases. The
 * log may be NULL. */
bool instances_init(struct instances *instances, const struct command *command,
                    const struct spawn_options *options, struct log *log);

/* None is left. */
void instances_fini(struct instances *instances);

/* Reads the clock: at the beginning of a batch, behind a wait that has ended at `until_ms`
 * (CLOCK_MONOTONIC) or before, unless the process has stood still; CLOCK_NEVER: behind none. */
void instances_update_time(struct instances *instances, int64_t until_ms);

/* When this batch began, in ms of CLOCK_MONOTONIC. */
static inline int64_t instances_clock_ms(const struct instances *instances)
{
    return instances->now_ms + instances->paused_ms;
}

/* Lowers due_ms. */
static inline void instances_schedule(struct instances *instances, int64_t at_ms)
{
    if (at_ms < instances->due_ms)
        instances->due_ms = at_ms;
}

/* Starts one with this number; whose it is is for the caller to set. The options are
 * instances.spawn, and perhaps more of its environment. NULL: `*failure` is the errno of what
 * failed. */
struct instance *instance_start(struct instances *instances, uint64_t number,
                                const struct spawn_options *options, int *failure);

/* Reports room in its input, or stops reporting it. False: out of memory. */
bool instance_watch_input(struct instances *instances, struct instance *instance, bool watch);

/* Reports the events (EPOLLIN, EPOLLOUT) from now on. False, with errno set, if memory is out. */
bool channel_watch(struct instances *instances, struct channel *channel, uint32_t events);

/* From now on no event of it is reported. Does nothing if it is closed. */
void channel_close(struct instances *instances, struct channel *channel);

/* Lets its input hold more at a time, since it was full: both sides can do more before the other
 * one must. The same is done for the output when a read finds it full. A few pipes only: the system
 * bounds what all pipes of a user may hold. False: it holds what it held before. */
bool instance_widen_input(struct instances *instances, struct instance *instance);

/* How many bytes of its input it has not read. */
size_t instance_unread(const struct instance *instance);

/* The same, and it can't read them any more. */
size_t instance_take_unread(const struct instance *instance);

/* The other end of its input, which does not block; the caller's. -1: it can't be opened. */
int instance_open_reader(const struct instance *instance);

/* Reads its output once: how many bytes came into instances.scratch, 0: there is none now; -1:
 * there will be none any more, and the channel is closed. */
ssize_t instance_read(struct instances *instances, struct instance *instance);

/* Gives its input and output away, for good: somebody else writes, reads and closes them. There are
 * no looks at it any more. */
void instance_give_pipes(struct instances *instances, struct instance *instance, int *input_fd,
                         int *output_fd);

/* Takes the output back, to be discarded. */
void instance_take_output(struct instances *instances, struct instance *instance, int fd);

/* Logs an event with the instance's number, an outcome ("": the event has none) and the first line
 * of the text. */
void instance_log(const struct instances *instances, const struct instance *instance,
                  enum log_event event, const char *outcome, const char *text, size_t size);

/* Its process and its group have gone: it is one of the dead. */
void instance_remove(struct instances *instances, struct instance *instance);

/* Ends its input; more can't be written. */
void instance_close_input(struct instances *instances, struct instance *instance);

/* Frees the dead ones: at the end of a batch. */
void instances_sweep(struct instances *instances);

#endif
