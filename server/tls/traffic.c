/*
 * tls/traffic: records to bytes and back, in a session's turn: one recv(2) and one send(2), of many
 * records. They pass through buffers that a thread has, so that an idle client has none.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "server/tls/state.h"

enum {
    RECEIVE_BYTES = 64 << 10,
    LEAST_RECEIVE_BYTES = 4 << 10,
    WRITE_BYTES = 256 << 10, /* of one write that are taken */
    KEPT_BYTES = 512 << 10,  /* a thread's buffer that has grown beyond this is given back */
    OWED_BYTES = 512 << 10,  /* what a client can make us say that takes nothing */
    NEW_KEYS_MAX = 16,       /* of a client, in one read: they are computed in a loop */
};

/* ---- the thread's buffers: empty between two calls ---- */

struct wire {
    struct buffer received, sending;
};

static pthread_key_t wire_key;
static pthread_once_t wire_once = PTHREAD_ONCE_INIT;
static bool has_key;

static void free_wire(void *data)
{
    struct wire *wire = data;
    buffer_fini(&wire->received);
    buffer_fini(&wire->sending);
    free(wire);
}

static void make_key(void) { has_key = pthread_key_create(&wire_key, free_wire) == 0; }

/* NULL, with errno set: out of memory. */
static struct wire *wire_of_thread(void)
{
    pthread_once(&wire_once, make_key);
    struct wire *wire = has_key ? pthread_getspecific(wire_key) : NULL;
    if (wire)
        return wire;
    wire = has_key ? calloc(1, sizeof *wire) : NULL;
    if (wire && pthread_setspecific(wire_key, wire) == 0)
        return wire;
    free(wire);
    errno = ENOMEM;
    return NULL;
}

/* What others have left in this thread would be taken for an error of this client. Emptying takes
 * longer than a look, even if there is nothing. */
static void forget_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

/* ---- sending ---- */

/* Gives the kernel what it takes. False, with errno set: the connection has failed. */
static bool flush(struct buffer *sending, int fd)
{
    ssize_t sent;
    if (buffer_size(sending) == 0)
        return true;
    do
        sent = send(fd, buffer_head(sending), buffer_size(sending), MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent > 0)
        buffer_consume(sending, (size_t) sent);
    return sent >= 0 || errno == EAGAIN;
}

static void clear(struct buffer *buffer)
{
    if (buffer->capacity > KEPT_BYTES)
        buffer_fini(buffer);
    else
        buffer_clear(buffer);
}

/* What the kernel does not take is kept. False as above. */
static bool send_out(struct client *client, struct wire *wire, int fd)
{
    struct buffer *kept = &client->shared.sending;
    bool sent = buffer_size(kept) > 0 || flush(&wire->sending, fd);
    int why = errno;
    if (sent && buffer_size(&wire->sending) > 0 &&
        !buffer_append(kept, buffer_head(&wire->sending), buffer_size(&wire->sending))) {
        sent = false;
        why = ENOMEM;
    }
    clear(&wire->sending);
    errno = why;
    return sent;
}

/* What was kept goes first. Returns how many of the bytes that were held back are gone by now. */
static size_t send_kept(struct client *client, int fd, bool *failed)
{
    struct buffer *kept = &client->shared.sending;
    size_t before = client->held_back;
    *failed = !flush(kept, fd);
    if (buffer_size(kept) == 0 && kept->capacity > 0)
        buffer_fini(kept);
    if (client->held_back > buffer_size(kept))
        client->held_back = buffer_size(kept);
    return before - client->held_back;
}

/* Returns how many bytes were encrypted. */
static size_t encrypt(struct client *client, const char *data, size_t size)
{
    size_t done = 0;
    forget_errors();
    while (done < size && done < WRITE_BYTES) {
        size_t piece = 0, left = size - done;
        if (SSL_write_ex(client->ssl, data + done,
                         left < SSL3_RT_MAX_PLAIN_LENGTH ? left : SSL3_RT_MAX_PLAIN_LENGTH,
                         &piece) != 1)
            break;
        done += piece;
    }
    return done;
}

ssize_t client_write(struct tls_client *shared, int fd, const void *data, size_t size)
{
    struct client *client = (struct client *) shared;
    struct wire *wire = wire_of_thread();
    bool failed;
    if (!wire)
        return -1;
    size_t gone = send_kept(client, fd, &failed);
    if (failed)
        return -1;
    errno = EAGAIN;
    if (buffer_size(&shared->sending) > 0)
        return gone > 0 ? (ssize_t) gone : -1;
    if (client->has_ended)
        return (ssize_t) size;
    client->buffers = (struct tls_buffers){&shared->received, &wire->sending};
    size_t done = encrypt(client, (const char *) data + gone, size - gone);
    if (done == 0 && gone < size) {
        clear(&wire->sending); /* what OpenSSL may have begun with */
        errno = EPROTO;
        return -1;
    }
    if (!send_out(client, wire, fd))
        return -1;
    size_t left = buffer_size(&shared->sending);
    client->held_back = done < left ? done : left;
    errno = EAGAIN;
    size_t counted = gone + done - client->held_back;
    return counted > 0 ? (ssize_t) counted : -1;
}

/* ---- receiving ---- */

/* What a read has come to that gave no data. */
static enum incoming judge(const struct client *client)
{
    switch (SSL_get_error(client->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        return GOES_ON;
    case SSL_ERROR_ZERO_RETURN:
        return ENDED;
    default:
        return FAILED;
    }
}

static bool has_more(const struct client *client)
{
    return client->incoming == GOES_ON && buffer_size(client->buffers.received) > 0;
}

/* Returns how many bytes there were. OpenSSL is asked once, since it may hold what there was no
 * room for, and again only for what it has not seen: it takes its time to find that there is
 * nothing. It comes back behind new keys, too. If there are many, what is behind them waits for the
 * next read; if there is nothing else, that is a failure. */
static size_t decrypt(struct client *client, char *data, size_t size)
{
    size_t got = 0, piece;
    unsigned new_keys = 0;
    forget_errors();
    do {
        if (SSL_read_ex(client->ssl, data + got, size - got, &piece) == 1) {
            got += piece;
            continue;
        }
        client->incoming = judge(client);
        if (has_more(client) && ++new_keys > NEW_KEYS_MAX) {
            client->incoming = got > 0 ? GOES_ON : FAILED;
            break;
        }
    } while (got < size && has_more(client));
    return got;
}

/* What the client has left over from its last read. */
static size_t decrypt_rest(struct client *client, struct wire *wire, char *data, size_t size)
{
    struct buffer *rest = &client->shared.received;
    client->buffers = (struct tls_buffers){rest, &wire->sending};
    size_t got = decrypt(client, data, size);
    if (buffer_size(rest) == 0)
        buffer_fini(rest);
    return got;
}

/* False with errno set: nothing has come. */
static bool receive(struct client *client, struct wire *wire, int fd, size_t size)
{
    size_t bound = size < LEAST_RECEIVE_BYTES ? LEAST_RECEIVE_BYTES
                   : size < RECEIVE_BYTES     ? size
                                              : RECEIVE_BYTES;
    ssize_t got;
    if (!buffer_reserve(&wire->received, bound)) {
        errno = ENOMEM;
        return false;
    }
    do
        got = recv(fd, buffer_tail(&wire->received), bound, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        buffer_added(&wire->received, (size_t) got);
    if (got == 0) {
        client->incoming = ENDED;
        client->shared.was_cut = true;
    }
    return got >= 0;
}

static size_t decrypt_next(struct client *client, struct wire *wire, char *data, size_t size)
{
    struct buffer *received = &wire->received;
    client->buffers = (struct tls_buffers){received, &wire->sending};
    size_t got = decrypt(client, data, size);
    if (buffer_size(received) > 0 && client->incoming == GOES_ON &&
        !buffer_append(&client->shared.received, buffer_head(received), buffer_size(received)))
        client->incoming = FAILED;
    clear(received);
    return got;
}

ssize_t client_read(struct tls_client *shared, int fd, void *data, size_t size)
{
    struct client *client = (struct client *) shared;
    struct wire *wire = wire_of_thread();
    size_t got = 0;
    int why = EAGAIN;
    bool held = shared->holds;
    if (!wire)
        return -1;
    shared->holds = false;
    if (held && client->incoming == GOES_ON)
        got = decrypt_rest(client, wire, data, size);
    if (got == 0 && client->incoming == GOES_ON) {
        if (!receive(client, wire, fd, size))
            why = errno;
        else if (client->incoming == GOES_ON)
            got = decrypt_next(client, wire, data, size);
    }
    /* OpenSSL's own words, such as an alert: never left to the thread's next client. If that fails,
     * so does the next read or write. */
    if (buffer_size(&wire->sending) > 0)
        send_out(client, wire, fd);
    if (buffer_size(&shared->sending) > OWED_BYTES)
        client->incoming = FAILED;
    shared->holds = got > 0 && (got == size || client->incoming != GOES_ON ||
                                buffer_size(&shared->received) > 0);
    if (got > 0 || client->incoming == ENDED)
        return (ssize_t) got;
    errno = client->incoming == FAILED ? EPROTO : why;
    return -1;
}

/* ---- the end ---- */

bool client_end(struct tls_client *shared, int fd)
{
    struct client *client = (struct client *) shared;
    struct wire *wire = wire_of_thread();
    if (!wire || client->incoming == FAILED)
        return true;
    client->buffers = (struct tls_buffers){&shared->received, &wire->sending};
    forget_errors();
    if (!client->has_ended)
        SSL_shutdown(client->ssl);
    client->has_ended = true;
    return !send_out(client, wire, fd) || buffer_size(&shared->sending) == 0;
}
