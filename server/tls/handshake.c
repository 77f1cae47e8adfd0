/* tls/handshake: a client's object, from its making to the end of the handshake. */
#include <openssl/err.h>
#include <stdlib.h>

#include "common/tls/reason.h"
#include "server/tls/state.h"

struct tls_client *client_new(struct tls_server *server)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->shared.library = server->library;
    client->buffers = (struct tls_buffers){&client->shared.received, &client->shared.sending};
    client->ssl = context_new_ssl((struct context *) server);
    BIO *bio = client->ssl ? tls_bio_new(&client->buffers) : NULL;
    if (!bio) {
        client_free(&client->shared);
        return NULL;
    }
    SSL_set_bio(client->ssl, bio, bio); /* which owns it now */
    SSL_set_accept_state(client->ssl);
    return &client->shared;
}

void client_free(struct tls_client *shared)
{
    struct client *client = (struct client *) shared;
    SSL_free(client->ssl);
    buffer_fini(&shared->received);
    buffer_fini(&shared->sending);
    free(shared->names);
    free(client);
}

static void say_why(const struct client *client, struct error *error)
{
    long verdict = SSL_get_verify_result(client->ssl);
    unsigned long code = ERR_peek_error();
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK)
        error_set(error, "its certificate can't be trusted: %s",
                  X509_verify_cert_error_string(verdict));
    else
        error_set(error, "%s", tls_reason(code));
}

/* An idle client has no buffers. */
static void give_back(struct buffer *buffer)
{
    if (buffer_size(buffer) == 0)
        buffer_fini(buffer);
}

static enum tls_step finish(struct client *client, struct error *error)
{
    const X509 *certificate = SSL_get0_peer_certificate(client->ssl);
    if (certificate && !(client->shared.names = names_of(certificate))) {
        error_set(error, "out of memory");
        return TLS_FAILED;
    }
    client->shared.holds = buffer_size(&client->shared.received) > 0;
    give_back(&client->shared.received);
    give_back(&client->shared.sending);
    return TLS_DONE;
}

/* Whether this step has said all that there is to say to the client, of which no certificate is
 * awaited. */
static bool has_only_to_finish(const struct client *client)
{
    return buffer_size(&client->shared.sending) > 0 &&
           SSL_get_state(client->ssl) == TLS_ST_EARLY_DATA &&
           SSL_get_verify_mode(client->ssl) == SSL_VERIFY_NONE;
}

enum tls_step client_shake_hands(struct tls_client *shared, struct error *error)
{
    struct client *client = (struct client *) shared;
    ERR_clear_error();
    int result = SSL_do_handshake(client->ssl);
    if (result == 1)
        return finish(client, error);
    if (SSL_get_error(client->ssl, result) == SSL_ERROR_WANT_READ) {
        shared->is_nearly_done = has_only_to_finish(client);
        return TLS_WAITS;
    }
    say_why(client, error);
    ERR_clear_error();
    return TLS_FAILED;
}
