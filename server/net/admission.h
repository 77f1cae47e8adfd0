/*
 * admission: which connections become clients, and how many there are. Counts sessions that are
 * served, those that only get "-ERR busy", and those that linger: clients no more, but with a
 * descriptor still.
 */
#ifndef BANTER_SERVER_NET_ADMISSION_H
#define BANTER_SERVER_NET_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How many sessions at a time may live only to get "-ERR busy" in order. */
enum { ADMISSION_MAX_REFUSED = 16 };

/* What a refused client reads. */
#define ADMISSION_BUSY_TEXT "too many clients, try again later"

/* All zero at first, except for the first two. */
struct admission {
    unsigned max_clients;
    unsigned max_sockets;      /* of clients and those that linger: descriptors for no more */
    atomic_uint clients;       /* connected now */
    atomic_uint refused;       /* being refused now */
    atomic_uint lingering;     /* were clients, and are being closed now */
    _Atomic uint64_t accepted; /* clients so far: the number of the last one */
};

enum admission_verdict {
    ADMISSION_CLIENT, /* it has the next number */
    ADMISSION_BUSY,   /* it becomes a session that gets "-ERR busy"; its number is 0 */
    ADMISSION_FULL,   /* there are too many of those as well: it gets that at once, and is closed */
};

/* Counts a connection and says what is to become of it; `*number` is its session's number. By one
 * thread at a time. */
enum admission_verdict admission_ask(struct admission *admission, uint64_t *number);

/* A connection that was counted under this number has not become a session after all. */
void admission_take_back(struct admission *admission, uint64_t number);

/* A session with this number ends: before its client can see that, so that when it does there is
 * room for the next one. From any thread. */
void admission_client_left(struct admission *admission);
void admission_refused_left(struct admission *admission);

/* One that was a client begins to linger, or has been closed. From any thread. */
void admission_lingers(struct admission *admission);
void admission_lingered(struct admission *admission);

/* Whether some that linger must be closed so that descriptors don't run out. From any thread. */
bool admission_is_crowded(const struct admission *admission);

#endif
