/*
 * balance: how many of the loops are in use.
 *
 * A loop for each core serves most where the cores are the server's own and there is enough to do.
 * Otherwise fewer loops serve more: each of them finds more to do at a look, nothing is passed from
 * core to core, and nobody waits for a processor that the clients on the same machine need too. So a
 * server begins with one. Where the owners of those in use are busy and there are processors that have
 * nothing to do, twice as many are tried; where they are busy and wait for a processor, half as many.
 * What has made the server slower is undone and not tried again for a while, each time longer.
 *
 * Every session has its home by its number. One that is elsewhere moves there at the end of its next
 * turn, when nothing of it is under way: so nothing has to be moved at once, a session that says
 * nothing stays where it is, and the loops know nothing of what is going on.
 */
#ifndef BANTER_SERVER_ENGINE_SCALER_H
#define BANTER_SERVER_ENGINE_SCALER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

/* What the watcher remembers from one measurement to the next. */
struct scaler_sample {
    int64_t at_ms;
    int64_t cpu_ns;
    int64_t waited_ns;
    int64_t idle_ns; /* of the processors; -1: not looked at, or not known */
    uint64_t requests;
};

/* What a measurement found, in processors. */
struct scaler_load {
    double busy;    /* the loops' owners were working */
    double waiting; /* they waited for a processor */
    double idle;    /* processors that had nothing to do. NAN: not looked at, or not known */
    double rate;    /* requests a millisecond */
    double cost_ns; /* of the owners' time for a request */
};

/* A direction in which the number of loops may be changed. */
struct scaler_direction {
    int64_t not_before_ms;
    int64_t pause_ms; /* how long it is not tried after it was no good; doubles */
};

struct scaler {
    struct loop *loops; /* not owned */
    unsigned count;
    _Atomic unsigned in_use; /* the first so many; 1 to `count` */
    _Atomic bool is_fixed;   /* `in_use` is not the watcher's to change */
    _Atomic bool is_frozen;
    _Atomic unsigned moving; /* sessions that are just being moved */

    /* The watcher's. */
    struct scaler_sample sight;
    bool looks_for_idle; /* at the processors too: that is not free */
    struct scaler_direction fewer, more;
    unsigned in_use_before; /* the last change, until it is judged; 0: it was */
    double rate_before;     /* the same */
    double gain_needed;     /* what it must bring to be kept, as a ratio of rates */
    bool is_settling;       /* the sessions are still on their way */
};

/* One of the loops is in use at first, where the number `adapts`, else all of them, for good. */
void scaler_init(struct scaler *scaler, struct loop *loops, unsigned count, bool adapts);

/* Which loop a session with this number belongs to now, as an index. From any thread. */
static inline unsigned scaler_assigned(struct scaler *scaler, uint64_t number)
{
    const unsigned in_use = atomic_load_explicit(&scaler->in_use, memory_order_relaxed);
    return in_use == 1 ? 0 : (unsigned) (number % in_use);
}

/* Lets the sessions belong to the first `count` loops, from now on: nothing is measured and tried any
 * more. From any thread. */
void scaler_use(struct scaler *scaler, unsigned count);

/* Around the move of a session into the inbox of another loop, by the owner of its own: false, and
 * the session stays. */
bool scaler_begin_move(struct scaler *scaler);
void scaler_end_move(struct scaler *scaler);

/* No session is moved any more when it returns: before the loops are stopped, since one that has
 * drained takes nobody. */
void scaler_freeze(struct scaler *scaler);

/* Looks whether other loops should be in use. By the monitor, at each look; seldom does anything. */
void scaler_sample(struct scaler *scaler);

/* What scaler_sample() makes of a measurement: tries another number, keeps it, or undoes it. */
void scaler_weigh(struct scaler *scaler, const struct scaler_load *load, int64_t now_ms);

#endif
