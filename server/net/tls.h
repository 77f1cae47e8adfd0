/*
 * tls: what banterd-tls.so has for the server, which opens it if some address begins with tls:.
 * Only then is OpenSSL in the process: a server in the clear pays nothing for it.
 *
 * A client's TLS is one object, from the first byte of its handshake to the end of its session. It
 * belongs to whoever its connection belongs to; one thread at a time uses it, and any may. Nothing
 * here blocks, or waits.
 */
#ifndef BANTER_SERVER_NET_TLS_H
#define BANTER_SERVER_NET_TLS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buffer.h"
#include "common/error.h"
#include "server/net/who.h"

#define TLS_LIBRARY_FILE "banterd-tls.so"
#define TLS_LIBRARY_SYMBOL "banterd_tls"

struct tls_library;

/* The files that the options name. The texts outlive the server. */
struct tls_files {
    const char *certificate; /* with those that lead to an authority; PEM, as all of them */
    const char *key;         /* NULL: in the certificate's file */
    const char *authorities; /* of clients; NULL: clients need no certificate */
    const char *revoked;     /* a list of certificates that are not; NULL: none */
};

/* What all clients of a server have. */
struct tls_server {
    const struct tls_library *library;
    /* From when until when the certificate that is in use is good, in seconds since 1970. Read by
     * any thread. */
    _Atomic int64_t good_from_s, good_until_s;
};

/* What a client's certificate says: one block of memory, for free(3). */
struct tls_names {
    struct who_certificate certificate;
    const char *subject; /* as RFC 4514 writes it */
};

struct tls_client {
    const struct tls_library *library;
    struct buffer received;  /* by whom it belongs to; OpenSSL has not read it yet */
    struct buffer sending;   /* to the client; the kernel has not taken it yet */
    struct tls_names *names; /* when hands are shaken; NULL: it has no certificate. Owned */
    bool is_nearly_done;     /* the next step, most likely the last, is little work */
    bool holds;              /* a read may give something that epoll does not know of */
    bool was_cut;            /* the stream has ended without a close_notify */
};

enum tls_step {
    TLS_WAITS, /* for what the client says next */
    TLS_DONE,  /* hands are shaken */
    TLS_FAILED /* an alert says so to the client */
};

struct tls_library {
    const char *version; /* the server's */

    /* Loads the files. NULL, with `error` set, if one of them can't be used. */
    struct tls_server *(*open)(const struct tls_files *files, struct error *error);
    void (*close)(struct tls_server *server);

    /* As server/reload.h wants them; for clients that come from then on. */
    bool (*prepare)(struct tls_server *server, struct error *error);
    void (*commit)(struct tls_server *server);
    void (*cancel)(struct tls_server *server);

    /* A client that has said nothing yet. NULL: out of memory. Any thread may ask. */
    struct tls_client *(*new_client)(struct tls_server *server);

    /* Takes what is in `received`, and puts into `sending` what is to be said. It computes. When it
     * has failed, `error` says why. */
    enum tls_step (*shake_hands)(struct tls_client *client, struct error *error);

    /* As recv(2) and send(2) on this socket, with the client's own words. 0 is the end of the
     * stream, with a close_notify or without. What a write does not count was perhaps taken all the
     * same: the next one begins with the same bytes. EPROTO: what came is no TLS,
     * or new keys without end. */
    ssize_t (*read)(struct tls_client *client, int fd, void *data, size_t size);
    ssize_t (*write)(struct tls_client *client, int fd, const void *data, size_t size);

    /* Says close_notify, once. Returns whether the kernel has it, or never will. If not, writes are
     * for that alone, and count whatever they are given when it has. */
    bool (*end)(struct tls_client *client, int fd);

    void (*free)(struct tls_client *client);
};

/* The library: in the program's folder, in ../lib/banter from there, or where `make install` put
 * it. NULL, with `error` set, if it is not there or not of this version. It is never closed. */
const struct tls_library *tls_library_open(struct error *error);

#endif
