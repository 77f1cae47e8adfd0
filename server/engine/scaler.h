/*
 * scaler: how many of the loops are in use.
 *
 * A loop for each core serves most if the cores are the server's own and there is enough to do.
 * Otherwise fewer loops serve more: each of them finds more to do at a look, nothing is passed from
 * core to core, and nobody waits for a core that the clients on the same machine need too. So a
 * server begins with one. If the owners of those in use are busy and there are idle cores, twice as
 * many are tried; if they are busy and wait for a core, half as many. A change that made the server
 * slower is undone and not tried again for a while, each time longer.
 *
 * Every session is assigned to a loop by its number. One that is elsewhere moves there at the end
 * of its next turn, when nothing of it is under way (server/session/transfer.h). So nothing has to
 * be moved at once, a silent session stays where it is, and the loops know nothing of what is going
 * on.
 */
#ifndef BANTER_SERVER_ENGINE_SCALER_H
#define BANTER_SERVER_ENGINE_SCALER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

/* What the monitor remembers from one measurement to the next. */
struct scaler_sample {
    int64_t at_ms;
    int64_t cpu_ns;
    int64_t waited_ns;
    int64_t idle_ns; /* of the cores; -1: not looked at, or unknown */
    uint64_t requests;
};

/* What a measurement found; the first three are in cores. */
struct scaler_load {
    double busy;    /* the loops' owners were working */
    double waiting; /* they waited for a core */
    double idle;    /* cores that had nothing to do. NAN: not looked at, or unknown */
    double rate;    /* requests per millisecond */
    double cost_ns; /* of the owners' CPU time for a request */
};

/* A direction in which the number of loops may be changed. */
struct scaler_direction {
    int64_t not_before_ms;
    int64_t pause_ms; /* how long it is not tried after it was no good; doubles each time */
};

struct scaler {
    struct loop *const *loops; /* not owned */
    unsigned count;
    _Atomic unsigned in_use; /* the first that many; 1 to `count` */
    _Atomic bool is_fixed;   /* `in_use` is not the monitor's to change */
    _Atomic bool is_frozen;
    _Atomic unsigned moving; /* threads that are just sending something to another loop */

    /* The monitor's. */
    struct scaler_sample sample;
    bool looks_for_idle; /* at the cores too: that is not free */
    struct scaler_direction fewer, more;
    unsigned in_use_before; /* the last change, until it is judged; 0: it was */
    double rate_before;     /* the same */
    double gain_needed;     /* what it must bring to be kept, as a ratio of rates */
    bool is_settling;       /* the sessions are still on their way */
};

/* One of the loops is in use at first if the number `adapts`, else all of them, for good. `loops`
 * is an array of `count` pointers that outlives the scaler. */
void scaler_init(struct scaler *scaler, struct loop *const *loops, unsigned count, bool adapts);

/* The index of the loop to which a session with this number is assigned now. From any thread. */
static inline unsigned scaler_assigned(struct scaler *scaler, uint64_t number)
{
    unsigned in_use = atomic_load_explicit(&scaler->in_use, memory_order_relaxed);
    return in_use == 1 ? 0 : (unsigned) (number % in_use);
}

/* Assigns the sessions to the first `count` loops from now on: nothing is measured and tried any
 * more. From any thread. */
void scaler_use(struct scaler *scaler, unsigned count);

/* Around sending sessions to other loops, accepted ones or those that move. False: no more may be
 * sent, since the loops are about to stop. From any thread. */
bool scaler_begin_move(struct scaler *scaler);
void scaler_end_move(struct scaler *scaler);

/* Nothing is on its way to another loop, nor will be, when it returns: before the loops are told to
 * stop, since one that has drained takes nobody. */
void scaler_freeze(struct scaler *scaler);

/* Measures, and changes the number of loops if need be. By the monitor, at each of its samples;
 * rarely does anything. */
void scaler_run(struct scaler *scaler);

/* What scaler_run() makes of a measurement: tries another number, keeps it, or undoes it. */
void scaler_weigh(struct scaler *scaler, const struct scaler_load *load, int64_t now_ms);

#endif
