/*
 * tls/bio: OpenSSL reads records from a buffer and writes them to another one, so that who moves
 * the bytes, and when, is not its business. Nothing here ever blocks.
 */
#ifndef BANTER_COMMON_TLS_BIO_H
#define BANTER_COMMON_TLS_BIO_H

#include <openssl/bio.h>

#include "common/buffer.h"

struct tls_buffers {
    struct buffer *received; /* from the peer; what was read is gone from it */
    struct buffer *sending;  /* to the peer; it grows as needed */
};

/* A BIO over these buffers, for both directions. An empty `received` is no end: it is to be tried
 * again. The buffers may be exchanged for others at any time, and must be there when the BIO is
 * used. NULL if memory is out. */
BIO *tls_bio_new(struct tls_buffers *buffers);

#endif
