/*
 * tls/rehearsal: a handshake with ourselves, whenever files are loaded. A certificate that no
 * handshake can be made with is refused then, and not again and again to each client. And OpenSSL
 * looks for all that a handshake needs: if memory is out while it does so for the first time, it
 * takes it for unknown as long as the process lives.
 */
#include <openssl/err.h>

#include "common/tls/reason.h"
#include "server/tls/state.h"

enum { MOST_STEPS = 10 };

/* Both ends, and the ways between them. */
struct rehearsal {
    SSL *server, *client;
    struct buffer up, down;
    struct tls_buffers server_buffers, client_buffers;
};

/* NULL: out of memory. */
static SSL *new_end(SSL_CTX *context, struct tls_buffers *buffers)
{
    SSL *ssl = context ? SSL_new(context) : NULL;
    BIO *bio = ssl ? tls_bio_new(buffers) : NULL;
    if (!bio) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_bio(ssl, bio, bio);
    SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    return ssl;
}

static bool open_both(struct rehearsal *rehearsal, SSL_CTX *context)
{
    SSL_CTX *others = SSL_CTX_new(TLS_client_method());
    rehearsal->server_buffers = (struct tls_buffers){&rehearsal->up, &rehearsal->down};
    rehearsal->client_buffers = (struct tls_buffers){&rehearsal->down, &rehearsal->up};
    rehearsal->server = new_end(context, &rehearsal->server_buffers);
    rehearsal->client = new_end(others, &rehearsal->client_buffers);
    SSL_CTX_free(others); /* the object has a share in it */
    if (!rehearsal->server || !rehearsal->client)
        return false;
    SSL_set_accept_state(rehearsal->server);
    SSL_set_connect_state(rehearsal->client);
    return true;
}

/* Takes a step, and returns whether there may be another one. */
static bool step(SSL *ssl, bool *is_done)
{
    int result = SSL_do_handshake(ssl);
    *is_done = result == 1;
    return *is_done || SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
}

static bool shake_hands(const struct rehearsal *rehearsal)
{
    bool is_client_done = false, is_server_done = false, goes_on = true;
    for (int i = 0; goes_on && i < MOST_STEPS && !(is_client_done && is_server_done); i++)
        goes_on =
            step(rehearsal->client, &is_client_done) && step(rehearsal->server, &is_server_done);
    return is_client_done && is_server_done;
}

bool context_rehearse(SSL_CTX *context, const char *certificate, struct error *error)
{
    struct rehearsal rehearsal = {.server = NULL};
    ERR_clear_error();
    bool is_good = open_both(&rehearsal, context) && shake_hands(&rehearsal);
    if (!is_good)
        error_set(error, "no handshake can be made with the certificate in %.200s: %s", certificate,
                  tls_reason(ERR_peek_error()));
    ERR_clear_error();
    SSL_free(rehearsal.server);
    SSL_free(rehearsal.client);
    buffer_fini(&rehearsal.up);
    buffer_fini(&rehearsal.down);
    return is_good;
}
