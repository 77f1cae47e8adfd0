/*
 * nats/nkey: the keys of NATS as text: a seed, which signs what a server asks, and its public key.
 */
#ifndef BANTER_SERVER_NATS_NKEY_H
#define BANTER_SERVER_NATS_NKEY_H

#include <stdbool.h>
#include <stddef.h>

enum {
    NKEY_SEED_SIZE = 58,     /* SU and what follows */
    NKEY_PUBLIC_SIZE = 56,   /* U and what follows */
    NKEY_SIGNATURE_SIZE = 64 /* bytes */
};

/* Writes the public key, with a NUL, of the seed of a user, `size` bytes. False: it is no such
 * seed. */
bool nkey_public(const char *seed, size_t size, char text[NKEY_PUBLIC_SIZE + 1]);

/* Signs a text with a seed that nkey_public() has taken. False: out of memory. */
bool nkey_sign(const char *seed, const char *text, unsigned char signature[NKEY_SIGNATURE_SIZE]);

#endif
