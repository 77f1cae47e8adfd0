/* tls/handshake: from a connected socket to a server that is who it should be. */
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "client/tls/verdict.h"
#include "common/clock.h"
#include "common/tls/certificate.h"

/* False at the deadline, after a look at the socket. */
static bool wait_for_server(const struct tls_session *session, int64_t end_ms)
{
    bool has_unsent = tls_has_unsent(session);
    struct pollfd polled = {.fd = session->socket,
                            .events = (short) (POLLIN | (has_unsent ? POLLOUT : 0))};
    for (;;) {
        int wait_ms = end_ms == CLOCK_NEVER ? -1 : clock_wait_ms(end_ms - clock_ms());
        int ready = poll(&polled, 1, wait_ms);
        if (ready >= 0)
            return ready > 0;
    }
}

static enum tls_opening too_late(int64_t limit_ms, struct error *error)
{
    error_set(error, "no handshake within %g s", (double) limit_ms / 1000);
    return TLS_UNREACHABLE;
}

/* The stream has ended, or broken. */
static enum tls_opening judge_end(const struct tls_session *session, ssize_t size,
                                  struct error *error)
{
    if (session->first_size > 0 && !tls_looks_like_tls(session))
        return tls_judge_handshake(session, error);
    error_set(error, "%s",
              size == 0 ? "the server has closed it in the handshake" : strerror(errno));
    return TLS_UNREACHABLE;
}

/* OpenSSL gives up with five bytes; a line in the clear says more, if it comes to its end. */
static void read_line(struct tls_session *session, int64_t end_ms)
{
    while (!tls_looks_like_tls(session) && session->first_size < sizeof session->first - 1 &&
           session->first[0] == '-' && !memchr(session->first, '\n', session->first_size) &&
           wait_for_server(session, end_ms) && tls_receive(session) > 0)
        ;
}

static void learn_identity(struct tls_session *session)
{
    char *subject = tls_subject(SSL_get0_peer_certificate(session->ssl));
    if (subject)
        escape_text(subject, strlen(subject), session->identity);
    free(subject);
}

enum tls_opening tls_shake_hands(struct tls_session *session, int socket, int64_t end_ms,
                                 int64_t limit_ms, struct error *error)
{
    session->socket = socket;
    for (;;) {
        ERR_clear_error();
        int result = SSL_do_handshake(session->ssl);
        bool is_over = result != 1 && SSL_get_error(session->ssl, result) != SSL_ERROR_WANT_READ;
        if (!is_over)
            tls_flush(session); /* if it fails, reading says why */
        if (result == 1)
            break;
        if (is_over) {
            read_line(session, end_ms);
            tls_flush(session); /* what we have against it */
            return tls_judge_handshake(session, error);
        }
        if (!wait_for_server(session, end_ms))
            return too_late(limit_ms, error);
        ssize_t size = tls_receive(session);
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
            return judge_end(session, size, error);
        if (size < 0)
            tls_flush(session);
    }
    session->is_open = true;
    session->may_have_more = buffer_size(&session->received) > 0;
    learn_identity(session);
    return TLS_OPEN;
}
