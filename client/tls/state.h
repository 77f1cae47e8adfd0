/*
 * tls/state: what the files of this module share: a connection's TLS, and the bytes on their way
 * through it. OpenSSL never sees the socket.
 */
#ifndef BANTER_CLIENT_TLS_STATE_H
#define BANTER_CLIENT_TLS_STATE_H

#include <openssl/ssl.h>

#include "client/tls_module.h"
#include "common/address.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/escape.h"
#include "common/tls/bio.h"

enum tls_incoming {
    TLS_GOES_ON,
    TLS_ENDED,  /* by the server's word */
    TLS_BROKEN, /* `why` */
};

struct tls_session {
    SSL *ssl;
    struct tls_settings settings;
    char name[ADDRESS_HOST_SIZE]; /* that the certificate must be for; "": it has a pin */
    int socket;                   /* not owned */
    struct buffer received;       /* records that OpenSSL has not read */
    struct buffer sending;        /* records that the kernel has not taken */
    struct tls_buffers buffers;   /* these two */
    char first[80];               /* what the server said first, as it was received */
    size_t first_size;
    bool was_asked;     /* for a certificate, and we have none */
    bool may_have_more; /* than the last read gave */
    bool has_heard;     /* something of what the server says through TLS */
    bool is_open;       /* hands were shaken */
    bool has_closed;    /* our half */
    bool is_refused;
    int send_errno; /* why sending failed, or 0 */
    enum tls_incoming incoming;
    struct error why; /* TLS_BROKEN; or what is wrong with the certificate, "" for nothing */
    char identity[ESCAPE_SIZE];
};

/* ---- session ---- */

struct tls_session *tls_session_new(const struct tls_settings *settings, const char *host,
                                    enum tls_opening *opening, struct error *error);
void tls_session_free(struct tls_session *session);

/* ---- handshake ---- */

enum tls_opening tls_shake_hands(struct tls_session *session, int socket, int64_t end_ms,
                                 int64_t limit_ms, struct error *error);

/* ---- traffic ---- */

ssize_t tls_read(struct tls_session *session, void *data, size_t size);
ssize_t tls_write(struct tls_session *session, const void *data, size_t size);
void tls_end(struct tls_session *session);
bool tls_has_unread(const struct tls_session *session);
bool tls_has_unsent(const struct tls_session *session);

/* Receives once; as recv(2), but into `received`. */
ssize_t tls_receive(struct tls_session *session);

/* Gives the kernel what it takes; false if that has failed. */
bool tls_flush(struct tls_session *session);

#endif
