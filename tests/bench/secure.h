/*
 * secure: TLS on a connection of the generator, by OpenSSL on its socket. No certificate is judged:
 * who answers is known. No session is resumed: each handshake is a whole one.
 */
#ifndef BANTER_TESTS_BENCH_SECURE_H
#define BANTER_TESTS_BENCH_SECURE_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

/* What all connections have; for SSL_CTX_free(). NULL, with `error` set: OpenSSL can't be used. */
SSL_CTX *secure_open(struct error *error);

/* The client's end of TLS on this connected or connecting socket; for secure_end(). NULL: out of
 * memory. */
SSL *secure_begin(SSL_CTX *context, int fd);

/* Waits until hands are shaken, for `timeout_ms` at a time. False with `error` set. */
bool secure_shake_hands(SSL *ssl, int fd, int timeout_ms, struct error *error);

/* As send(2) and recv(2) on the socket, which does not block. Either shakes hands first, as far as
 * that goes without waiting: after EAGAIN whatever the socket has for us may be what was missing.
 * EPROTO: TLS has failed. secure_recv() gives all that has come, with one recv(2) if it can. */
ssize_t secure_send(SSL *ssl, const void *data, size_t size);
ssize_t secure_recv(SSL *ssl, void *data, size_t size);

/* Says close_notify, if there is room for it, and frees the object. The socket stays open. */
void secure_end(SSL *ssl);

#endif
