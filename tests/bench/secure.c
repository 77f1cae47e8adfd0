/* secure: see secure.h. */
#include "tests/bench/secure.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>

enum { READ_BYTES = 32 << 10 /* of one recv(2) */ };

SSL_CTX *secure_open(struct error *error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1) {
        SSL_CTX_free(context);
        error_set(error, "unable to use OpenSSL");
        return NULL;
    }
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_BYTES);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    return context;
}

SSL *secure_begin(SSL_CTX *context, int fd)
{
    SSL *ssl = SSL_new(context);
    if (ssl && SSL_set_fd(ssl, fd) == 1) {
        SSL_set_connect_state(ssl);
        return ssl;
    }
    SSL_free(ssl);
    return NULL;
}

/* What it waits for; 0: it has failed. */
static short events_of(const SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return POLLIN;
    case SSL_ERROR_WANT_WRITE:
        return POLLOUT;
    default:
        return 0;
    }
}

bool secure_shake_hands(SSL *ssl, int fd, int timeout_ms, struct error *error)
{
    int result;
    ERR_clear_error();
    while ((result = SSL_do_handshake(ssl)) != 1) {
        struct pollfd poll_fd = {fd, events_of(ssl, result), 0};
        if (!poll_fd.events || poll(&poll_fd, 1, timeout_ms) <= 0)
            return error_set(error, "unable to shake hands: %s",
                             poll_fd.events ? "no reply" : ERR_reason_error_string(ERR_peek_error())
                                                  ?: "the connection has ended");
    }
    return true;
}

/* -1, with errno set. */
static ssize_t fail(const SSL *ssl, int result)
{
    errno = events_of(ssl, result) ? EAGAIN : EPROTO;
    return -1;
}

ssize_t secure_send(SSL *ssl, const void *data, size_t size)
{
    size_t taken;
    ERR_clear_error();
    int result = SSL_write_ex(ssl, data, size, &taken);
    return result == 1 ? (ssize_t) taken : fail(ssl, result);
}

ssize_t secure_recv(SSL *ssl, void *data, size_t size)
{
    size_t got = 0, piece;
    int result;
    ERR_clear_error();
    do {
        result = SSL_read_ex(ssl, (char *) data + got, size - got, &piece);
        got += result == 1 ? piece : 0;
    } while (result == 1 && got < size && SSL_has_pending(ssl));
    if (got == 0 && SSL_get_error(ssl, result) == SSL_ERROR_ZERO_RETURN)
        return 0;
    return got > 0 ? (ssize_t) got : fail(ssl, result);
}

void secure_end(SSL *ssl)
{
    ERR_clear_error();
    if (ssl && SSL_is_init_finished(ssl))
        SSL_shutdown(ssl);
    ERR_clear_error();
    SSL_free(ssl);
}
