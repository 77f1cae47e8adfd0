/*
 * admission: which connections become clients, and how many there are. Counts sessions that are
 * served, and those that only get "-ERR busy".
 */
#ifndef BANTER_SERVER_NET_ADMISSION_H
#define BANTER_SERVER_NET_ADMISSION_H

#include <stdatomic.h>
#include <stdint.h>

/* How many sessions at a time may live only to get "-ERR busy" in order. */
enum { ADMISSION_MAX_REFUSED = 16 };

/* What a refused client reads. */
#define ADMISSION_BUSY_TEXT "too many clients, try again later"

/* All zero at first, except for `max_clients`. */
struct admission {
    unsigned max_clients;
    atomic_uint clients;       /* connected now */
    atomic_uint refused;       /* being refused now */
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

#endif
