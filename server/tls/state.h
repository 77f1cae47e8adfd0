/*
 * tls/state: what the files of this module share. OpenSSL never sees a socket: it reads records
 * from a buffer and writes them to another one.
 */
#ifndef BANTER_SERVER_TLS_STATE_H
#define BANTER_SERVER_TLS_STATE_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "common/tls/bio.h"
#include "server/net/tls.h"

struct context {
    struct tls_server shared; /* first */
    struct tls_files files;
    pthread_mutex_t lock; /* guards `current` */
    SSL_CTX *current;
    SSL_CTX *next; /* while files are prepared; NULL: none is */
};

enum incoming {
    GOES_ON,
    ENDED, /* by close_notify, or cut */
    FAILED,
};

struct client {
    struct tls_client shared; /* first */
    SSL *ssl;
    struct tls_buffers buffers; /* between which it works now */
    /* bytes that were encrypted, and are not counted as written before the kernel has taken them */
    size_t held_back;
    enum incoming incoming;
    bool has_ended; /* our half */
};

/* ---- context ---- */

struct tls_server *context_open(const struct tls_files *files, struct error *error);
void context_close(struct tls_server *server);
bool context_prepare(struct tls_server *server, struct error *error);
void context_commit(struct tls_server *server);
void context_cancel(struct tls_server *server);

/* An SSL object of what is current. NULL: out of memory. */
SSL *context_new_ssl(struct context *context);

/* ---- rehearsal ---- */

/* Whether a handshake with what was loaded comes about. False with `error` set, in which
 * `certificate` names the file. */
bool context_rehearse(SSL_CTX *context, const char *certificate, struct error *error);

/* ---- handshake ---- */

struct tls_client *client_new(struct tls_server *server);
void client_free(struct tls_client *client);
enum tls_step client_shake_hands(struct tls_client *client, struct error *error);

/* ---- names ---- */

/* What a certificate says. NULL: out of memory. */
struct tls_names *names_of(const X509 *certificate);

/* ---- traffic ---- */

ssize_t client_read(struct tls_client *client, int fd, void *data, size_t size);
ssize_t client_write(struct tls_client *client, int fd, const void *data, size_t size);
bool client_end(struct tls_client *client, int fd);

#endif
