/*
 * admission: which connections become clients, and how many there are. Counts those that are
 * served, those that are refused in order, and those that linger: clients no more, but with a
 * descriptor still.
 */
#ifndef BANTER_SERVER_NET_ADMISSION_H
#define BANTER_SERVER_NET_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How many sessions at a time may live only to be refused in order. */
enum { ADMISSION_MAX_REFUSED = 16 };

/* Why a client is refused. */
enum admission_refusal {
    ADMISSION_GRANTED,      /* it is not */
    ADMISSION_BUSY,         /* there are --max-clients */
    ADMISSION_ADDRESS_BUSY, /* there are --max-per-address of its address */
    ADMISSION_DENIED,       /* it may not connect */
};

/* What it reads: "-ERR CODE TEXT". */
struct admission_words {
    const char *code, *text;
};

const struct admission_words *admission_words(enum admission_refusal refusal);

/* All zero at first, except for the first two. */
struct admission {
    unsigned max_clients;
    unsigned max_sockets;      /* of clients and those that linger: descriptors for no more */
    atomic_uint clients;       /* connected now */
    atomic_uint refused;       /* being refused now */
    atomic_uint lingering;     /* were clients, and are being closed now */
    _Atomic uint64_t accepted; /* clients so far */
    _Atomic uint64_t numbers;  /* the last one that was given */
};

/* Counts a client. False: there are as many as there may be. From any thread. */
bool admission_enter(struct admission *admission);

/* The number of a client's session, and of a request that comes without one. From any thread. */
uint64_t admission_number(struct admission *admission);
uint64_t admission_errand(struct admission *admission);

/* Counts one that is to be refused in order, as a session whose number is 0. False: there are too
 * many of those as well, and this one is refused at once. From any thread. */
bool admission_refuse(struct admission *admission);

/* A client, or one that is refused, leaves: before its client can see that, so that when it does
 * there is room for the next one. From any thread. */
void admission_client_left(struct admission *admission);
void admission_refused_left(struct admission *admission);

/* One that was a client begins to linger, or has been closed. From any thread. */
void admission_lingers(struct admission *admission);
void admission_lingered(struct admission *admission);

/* Whether some that linger must be closed so that descriptors don't run out. From any thread. */
bool admission_is_crowded(const struct admission *admission);

#endif
