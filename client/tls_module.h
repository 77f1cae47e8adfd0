/*
 * tls_module: what banter-tls.so has for the program, which opens it for the first address that
 * begins with tls:. Only then is OpenSSL in the process: a conversation in the clear pays nothing
 * for it.
 *
 * A session is one connection's TLS. It moves the bytes of a socket that is its owner's, and never
 * blocks but in the handshake. Sessions know nothing of each other; any thread may use one, one at
 * a time.
 */
#ifndef BANTER_CLIENT_TLS_MODULE_H
#define BANTER_CLIENT_TLS_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

#define TLS_MODULE_FILE "banter-tls.so"
#define TLS_MODULE_SYMBOL "banter_tls"

/* Whom to trust, and who we are. The texts are their giver's, and outlive the sessions. */
struct tls_settings {
    const char *authorities; /* a file or a folder; NULL: the system's */
    const char *name;        /* that the certificate must be for; NULL: the host's */
    const char *pin;         /* "sha256:BASE64": this key is trusted, and no other; or NULL */
    const char *certificate; /* ours, a file; or NULL */
    const char *key;         /* NULL: in the certificate's file */
};

enum tls_opening {
    TLS_OPEN,
    TLS_UNUSABLE,    /* a file of the settings */
    TLS_UNTRUSTED,   /* the server by us, or we by it */
    TLS_IMPOSSIBLE,  /* no handshake with this server, however often it is tried */
    TLS_UNREACHABLE, /* it may come about later */
};

struct tls_session;

struct tls_module {
    const char *version; /* the program's */

    /* A session that is not connected yet, for a server of this name ("": it has none). NULL on
     * failure, with `opening` and `error` set. */
    struct tls_session *(*create)(const struct tls_settings *settings, const char *host,
                                  enum tls_opening *opening, struct error *error);

    /* Shakes hands over a socket that is connected and does not block, until a time of clock_ms();
     * `error` is set unless it is TLS_OPEN. `limit_ms` is the whole time, for that text, and 0 if
     * there is none. */
    enum tls_opening (*shake_hands)(struct tls_session *session, int socket, int64_t end_ms,
                                    int64_t limit_ms, struct error *error);

    /* The subject of the server's certificate, escaped, or "". */
    const char *(*identity)(const struct tls_session *session);

    /* As those of transport.h. What a write has taken may still have to be sent. */
    ssize_t (*read)(struct tls_session *session, void *data, size_t size);
    ssize_t (*write)(struct tls_session *session, const void *data, size_t size);
    void (*end)(struct tls_session *session);

    /* Whether a read would give something that poll(2) does not know of; whether a write would send
     * something even if nothing is given to it. */
    bool (*has_unread)(const struct tls_session *session);
    bool (*has_unsent)(const struct tls_session *session);

    /* After a read has failed: whether the server does not trust us, and has done nothing of what
     * was sent; and half a sentence. */
    bool (*is_refused)(const struct tls_session *session);
    const char *(*why)(const struct tls_session *session);

    /* Ends our half, if that was not done, as far as that is possible at once. Leaves the socket
     * open. */
    void (*free)(struct tls_session *session);
};

/* The module: in the program's folder, in ../lib/banter from there, or where `make install` put it.
 * NULL, with `error` set, if it is not there or not of this version. It is never closed. */
const struct tls_module *tls_module_open(struct error *error);

#endif
