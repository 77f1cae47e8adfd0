/*
 * tls/traffic: records to bytes and back. One recv(2) and one send(2) at a time, of many records.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "client/tls/verdict.h"
#include "common/tls/reason.h"

#define RECEIVE_BYTES ((size_t) 256 << 10)
#define SENDING_ENOUGH ((size_t) 256 << 10) /* with more, nothing more is taken */
#define SENDING_MAX ((size_t) 2 << 20)      /* what a server can make us owe that takes nothing */

/* ---- the socket ---- */

static void note_first(struct tls_session *session, const char *data, size_t size)
{
    size_t room = sizeof session->first - 1 - session->first_size;
    size_t count = size < room ? size : room;
    memcpy(session->first + session->first_size, data, count);
    session->first_size += count;
}

ssize_t tls_receive(struct tls_session *session)
{
    struct buffer *received = &session->received;
    if (!buffer_reserve(received, RECEIVE_BYTES)) {
        errno = ENOMEM;
        return -1;
    }
    ssize_t size = recv(session->socket, buffer_tail(received), RECEIVE_BYTES, 0);
    if (size > 0) {
        note_first(session, buffer_tail(received), (size_t) size);
        buffer_added(received, (size_t) size);
    }
    return size;
}

bool tls_flush(struct tls_session *session)
{
    struct buffer *sending = &session->sending;
    if (buffer_size(sending) == 0)
        return !session->send_errno;
    ssize_t size = send(session->socket, buffer_head(sending), buffer_size(sending), MSG_NOSIGNAL);
    if (size >= 0) {
        buffer_consume(sending, (size_t) size);
    } else if (errno != EAGAIN && errno != EINTR) {
        session->send_errno = errno;
        buffer_clear(sending);
    }
    return !session->send_errno;
}

/* ---- reading ---- */

static void fail(struct tls_session *session, const char *why)
{
    session->incoming = TLS_BROKEN;
    error_set(&session->why, "%s", why);
}

/* OpenSSL goes on no more. */
static void judge_failure(struct tls_session *session)
{
    int alert = tls_alert();
    session->incoming = TLS_BROKEN;
    if (alert >= 0)
        session->is_refused = tls_judge_alert(session, alert, &session->why) && !session->has_heard;
    else
        error_set(&session->why, "what the server sent is no TLS: %s",
                  tls_reason(ERR_peek_error()));
}

/* Returns how many bytes there were. */
static size_t decrypt(struct tls_session *session, char *data, size_t size)
{
    size_t got = 0;
    while (got < size) {
        size_t piece = 0;
        ERR_clear_error();
        if (SSL_read_ex(session->ssl, data + got, size - got, &piece) == 1) {
            session->has_heard = true;
            got += piece;
            continue;
        }
        int error = SSL_get_error(session->ssl, 0);
        if (error == SSL_ERROR_ZERO_RETURN)
            session->incoming = TLS_ENDED;
        else if (error != SSL_ERROR_WANT_READ)
            judge_failure(session);
        break;
    }
    session->may_have_more = got == size;
    if (buffer_size(&session->sending) > SENDING_MAX)
        fail(session, "it asks for more than it takes");
    return got;
}

static void take_records(struct tls_session *session)
{
    ssize_t size = tls_receive(session);
    if (size == 0)
        fail(session, "the stream was cut: it ended without a close_notify");
    else if (size < 0 && errno != EAGAIN && errno != EINTR)
        fail(session, strerror(errno));
}

ssize_t tls_read(struct tls_session *session, void *data, size_t size)
{
    size_t got = session->incoming == TLS_GOES_ON ? decrypt(session, data, size) : 0;
    if (got == 0 && session->incoming == TLS_GOES_ON) {
        take_records(session);
        if (session->incoming == TLS_GOES_ON)
            got = decrypt(session, data, size);
    }
    tls_flush(session); /* OpenSSL's answers */
    if (got > 0 || session->incoming == TLS_ENDED)
        return (ssize_t) got;
    errno = session->incoming == TLS_BROKEN ? EPROTO : EAGAIN;
    return -1;
}

bool tls_has_unread(const struct tls_session *session)
{
    return session->may_have_more || session->incoming != TLS_GOES_ON;
}

/* ---- writing ---- */

/* Returns how much it took. */
static size_t encrypt(struct tls_session *session, const char *data, size_t size)
{
    size_t taken = 0;
    while (taken < size && buffer_size(&session->sending) < SENDING_ENOUGH) {
        size_t piece = size - taken;
        size_t done = 0;
        if (piece > SSL3_RT_MAX_PLAIN_LENGTH)
            piece = SSL3_RT_MAX_PLAIN_LENGTH;
        ERR_clear_error();
        if (SSL_write_ex(session->ssl, data + taken, piece, &done) != 1) {
            session->send_errno = EPIPE; /* why, is for the reading side to say */
            break;
        }
        taken += done;
    }
    return taken;
}

ssize_t tls_write(struct tls_session *session, const void *data, size_t size)
{
    size_t taken = tls_flush(session) ? encrypt(session, data, size) : 0;
    if (taken > 0)
        tls_flush(session);
    if (!session->send_errno && (taken > 0 || size == 0))
        return (ssize_t) taken;
    errno = session->send_errno ? session->send_errno : EAGAIN;
    return -1;
}

/* OpenSSL goes on reading behind it: data, new keys, tickets. */
void tls_end(struct tls_session *session)
{
    if (!session->has_closed && session->incoming != TLS_BROKEN) {
        ERR_clear_error();
        SSL_shutdown(session->ssl);
    }
    session->has_closed = true;
    tls_flush(session);
}

bool tls_has_unsent(const struct tls_session *session)
{
    return buffer_size(&session->sending) > 0;
}
