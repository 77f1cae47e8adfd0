/*
 * balance: how many of the loops are in use.
 *
 * A loop for each core serves most where the cores are the server's own. Where others need them too
 * (clients on the same machine, most of all) and requests are quick, fewer loops serve more: each of
 * them finds more to do at a look, and nobody waits for the processor. Which of the two it is can't
 * be known, but it can be measured: with the loops' owners busy and waiting for a processor, half as
 * many are tried, with the owners busy all the time, twice as many, and what has made the server
 * slower is undone and not tried again for a while, each time longer.
 *
 * Every session has its home by its number. One that is elsewhere moves there at the end of its next
 * turn, when nothing of it is under way: so nothing has to be moved at once, a session that says
 * nothing stays where it is, and the loops know nothing of what is going on.
 */
#ifndef BANTER_SERVER_BALANCE_H
#define BANTER_SERVER_BALANCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

/* What the watcher remembers from one measurement to the next. */
struct balance_sight {
    int64_t at_ms;
    int64_t cpu_ns;
    int64_t waited_ns;
    uint64_t requests;
};

/* A direction in which the number of loops may be changed. */
struct balance_way {
    int64_t not_before_ms;
    int64_t pause_ms; /* how long it is not tried after it was no good; doubles */
};

struct balance {
    struct loop *loops; /* not owned */
    unsigned count;
    _Atomic unsigned in_use; /* the first so many; 1 to `count` */
    _Atomic bool is_fixed;   /* `in_use` is not the watcher's to change */
    _Atomic bool is_frozen;
    _Atomic unsigned moving; /* sessions that are just being moved */

    /* The watcher's. */
    struct balance_sight sight;
    struct balance_way fewer, more;
    unsigned in_use_before; /* the last change, until it is judged; 0: it was */
    double rate_before;     /* requests a millisecond, the same */
    bool is_settling;       /* the sessions are still on their way */
};

/* All loops are in use. */
void balance_init(struct balance *balance, struct loop *loops, unsigned count);

/* Which loop a session with this number belongs to now, as an index. From any thread. */
static inline unsigned balance_home(struct balance *balance, uint64_t number)
{
    const unsigned in_use = atomic_load_explicit(&balance->in_use, memory_order_relaxed);
    return in_use == 1 ? 0 : (unsigned) (number % in_use);
}

/* Lets the sessions belong to the first `count` loops, from now on: nothing is measured and tried any
 * more. From any thread. */
void balance_use(struct balance *balance, unsigned count);

/* Around the move of a session into the inbox of another loop, by the owner of its own: false, and
 * the session stays. */
bool balance_begin_move(struct balance *balance);
void balance_end_move(struct balance *balance);

/* No session is moved any more when it returns: before the loops are stopped, since one that has
 * drained takes nobody. */
void balance_freeze(struct balance *balance);

/* Looks whether other loops should be in use. By the watcher, each tick; seldom does anything. */
void balance_look(struct balance *balance);

#endif
