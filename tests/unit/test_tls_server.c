/* The server's TLS over a socket that takes, and gives, as much as it likes. */
#include <errno.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/tls/state.h"
#include "tests/unit/certificate.h"

enum { MUCH = 1 << 20 };

static struct {
    struct tls_library library;
    struct tls_server *server;
    SSL_CTX *trusting;
    struct tls_client *client; /* the server's end */
    int fd;
    SSL *other; /* the client's end, on a socket of its own */
    int other_fd;
} tls;

static int open_server(void **state)
{
    char path[] = CERTIFICATE_PATH;
    struct error error;
    (void) state;
    X509 *certificate = certificate_make(path);
    assert_non_null(certificate);
    X509_free(certificate);
    tls.server = context_open(&(struct tls_files){.certificate = path}, &error);
    unlink(path);
    assert_non_null(tls.server);
    tls.server->library = &tls.library;
    tls.trusting = SSL_CTX_new(TLS_client_method());
    return tls.trusting ? 0 : -1;
}

static int close_server(void **state)
{
    (void) state;
    context_close(tls.server);
    SSL_CTX_free(tls.trusting);
    return 0;
}

/* ---- a connection ---- */

/* As the lobby does. */
static enum tls_step step(void)
{
    struct error error;
    struct buffer *received = &tls.client->received, *sending = &tls.client->sending;
    assert_true(buffer_reserve(received, 1 << 14));
    ssize_t got = recv(tls.fd, buffer_tail(received), 1 << 14, 0);
    if (got > 0)
        buffer_added(received, (size_t) got);
    enum tls_step outcome = client_shake_hands(tls.client, &error);
    ssize_t sent = send(tls.fd, buffer_head(sending), buffer_size(sending), 0);
    if (sent > 0)
        buffer_consume(sending, (size_t) sent);
    return outcome;
}

static int connect_both(void **state)
{
    int fds[2];
    (void) state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    tls.fd = fds[0];
    tls.other_fd = fds[1];
    tls.client = client_new(tls.server);
    tls.other = SSL_new(tls.trusting);
    assert_true(tls.client && tls.other && SSL_set_fd(tls.other, tls.other_fd));
    SSL_set_connect_state(tls.other);
    while (SSL_do_handshake(tls.other) != 1)
        step();
    assert_int_equal(step(), TLS_DONE);
    return 0;
}

static int close_both(void **state)
{
    (void) state;
    client_free(tls.client);
    SSL_free(tls.other);
    close(tls.fd);
    close(tls.other_fd);
    return 0;
}

static void fill(char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (char) (i * 31 / 7);
}

/* Reads what has come, about `most` bytes, behind what was read before. */
static void read_some(char *data, size_t *size, size_t most)
{
    size_t got, before = *size;
    while (*size - before < most && SSL_read_ex(tls.other, data + *size, 1000, &got) == 1)
        *size += got;
}

/* ---- writing ---- */

/* What is counted is taken, and what is not is written again. */
static void a_slow_reader_gets_all(void **state)
{
    char *data = malloc(MUCH), *read = malloc(MUCH + 1000);
    size_t written = 0, size = 0;
    (void) state;
    assert_true(data && read);
    fill(data, MUCH);
    while (written < MUCH) {
        ssize_t taken = client_write(tls.client, tls.fd, data + written, MUCH - written);
        assert_true(taken > 0 || (taken < 0 && errno == EAGAIN));
        if (taken > 0)
            written += (size_t) taken;
        else
            read_some(read, &size, 10000);
    }
    assert_int_equal(buffer_size(&tls.client->sending), 0);
    while (size < MUCH)
        read_some(read, &size, MUCH);
    assert_memory_equal(read, data, MUCH);
    free(data);
    free(read);
}

/* close_notify waits for room, as bytes do. */
static void an_end_behind_a_full_socket(void **state)
{
    char data[100] = "", read[2000];
    size_t got;
    (void) state;
    while (client_write(tls.client, tls.fd, data, sizeof data) > 0)
        continue;
    assert_int_equal(errno, EAGAIN);
    assert_false(client_end(tls.client, tls.fd));
    while (client_write(tls.client, tls.fd, "", 1) < 0)
        assert_int_equal(SSL_read_ex(tls.other, read, sizeof read, &got), 1);
    assert_true(client_end(tls.client, tls.fd));
    while (SSL_read_ex(tls.other, read, sizeof read, &got) == 1)
        continue;
    assert_int_equal(SSL_get_error(tls.other, 0), SSL_ERROR_ZERO_RETURN);
}

/* ---- reading ---- */

static void say(const char *text, int size)
{
    assert_int_equal(SSL_write(tls.other, text, size), size);
}

/* Bytes that were decrypted, and are not read, are known to nobody else. */
static void what_does_not_fit_is_held(void **state)
{
    char data[6000], read[sizeof data + 100];
    size_t size = 0;
    (void) state;
    fill(data, sizeof data);
    say(data, 3000);
    say(data + 3000, 3000);
    while (size < sizeof data) {
        ssize_t got = client_read(tls.client, tls.fd, read + size, 100);
        assert_in_range(got, 1, 100);
        size += (size_t) got;
        assert_true(tls.client->holds || size % 3000 == 0);
    }
    assert_memory_equal(read, data, sizeof data);
    assert_int_equal(client_read(tls.client, tls.fd, read, 100), -1);
    assert_int_equal(errno, EAGAIN);
    assert_false(tls.client->holds);
}

static void an_end_is_one_only_if_it_is_said(void **state)
{
    char read[100];
    (void) state;
    say("Zack\n", 5);
    SSL_shutdown(tls.other);
    assert_int_equal(client_read(tls.client, tls.fd, read, sizeof read), 5);
    assert_true(tls.client->holds); /* the end, which epoll may not know of */
    assert_int_equal(client_read(tls.client, tls.fd, read, sizeof read), 0);
    assert_false(tls.client->was_cut || tls.client->holds);
}

static void a_cut(void **state)
{
    char read[100];
    (void) state;
    say("Zack\n", 5);
    shutdown(tls.other_fd, SHUT_WR);
    assert_int_equal(client_read(tls.client, tls.fd, read, sizeof read), 5);
    assert_int_equal(client_read(tls.client, tls.fd, read, sizeof read), 0);
    assert_true(tls.client->was_cut);
}

static void what_is_no_record(void **state)
{
    char read[100];
    (void) state;
    assert_int_equal(send(tls.other_fd, "GET / HTTP/1.0\r\n\r\n", 18, 0), 18);
    assert_int_equal(client_read(tls.client, tls.fd, read, sizeof read), -1);
    assert_int_equal(errno, EPROTO);
    assert_int_equal(client_write(tls.client, tls.fd, "x", 1), -1);
}

static void new_keys(void **state)
{
    char read[100];
    (void) state;
    for (int turn = 0; turn < 20; turn++) {
        assert_int_equal(SSL_key_update(tls.other, SSL_KEY_UPDATE_REQUESTED), 1);
        say("Zack\n", 5);
        assert_int_equal(client_read(tls.client, tls.fd, read, sizeof read), 5);
        assert_int_equal(client_write(tls.client, tls.fd, read, 5), 5);
        assert_int_equal(SSL_read(tls.other, read, sizeof read), 5);
    }
}

/* The client's word that it has new keys, or that it wants some of ours, too. */
static bool say_new_keys(int kind)
{
    return SSL_key_update(tls.other, kind) == 1 && SSL_do_handshake(tls.other) == 1;
}

/* Each is computed in a loop, beside which others wait: a few at a time will do. */
static void new_keys_for_nothing(void **state)
{
    char read[100];
    (void) state;
    for (int turn = 0; turn < 10; turn++) {
        for (int i = 0; i < 10; i++)
            assert_true(say_new_keys(SSL_KEY_UPDATE_NOT_REQUESTED));
        say("Zack\n", 5);
        assert_int_equal(client_read(tls.client, tls.fd, read, sizeof read), 5);
    }
    for (int i = 0; i < 100; i++) {
        assert_true(say_new_keys(SSL_KEY_UPDATE_NOT_REQUESTED));
        say("x", 1);
    }
    for (int left = 100; left > 0;) {
        ssize_t got = client_read(tls.client, tls.fd, read, sizeof read);
        assert_in_range(got, 1, 17);
        assert_true(tls.client->holds || left < 100);
        left -= (int) got;
    }
    for (int i = 0; i < 100; i++)
        assert_true(say_new_keys(SSL_KEY_UPDATE_NOT_REQUESTED));
    say("Zack\n", 5);
    assert_int_equal(client_read(tls.client, tls.fd, read, sizeof read), -1);
    assert_int_equal(errno, EPROTO);
}

/* Nor does an answer to one client wait in the thread until another one is written to. */
static void an_answer_that_is_nobody_elses(void **state)
{
    char read[100];
    (void) state;
    say("Zack\n", 5);
    for (int i = 0; i < 3; i++) /* OpenSSL answers one when it comes to the next */
        assert_true(say_new_keys(SSL_KEY_UPDATE_REQUESTED));
    assert_int_equal(client_read(tls.client, tls.fd, read, 5), 5);
    assert_int_equal(client_read(tls.client, tls.fd, read, 5), -1);
    assert_int_equal(errno, EAGAIN);
    typeof(tls) first = tls;
    connect_both(state);
    assert_int_equal(client_write(tls.client, tls.fd, "Jane\n", 5), 5);
    assert_int_equal(SSL_read(tls.other, read, sizeof read), 5);
    close_both(state);
    tls = first;
    assert_int_equal(client_write(tls.client, tls.fd, "Zack\n", 5), 5);
    assert_int_equal(SSL_read(tls.other, read, sizeof read), 5);
}

/* What a client can make us owe that takes nothing has an end. */
static void a_flood_of_wishes(void **state)
{
    char read[100];
    ssize_t got = -1;
    (void) state;
    errno = EAGAIN;
    for (int i = 0; i < 200000 && got < 0 && errno == EAGAIN; i++) {
        assert_true(say_new_keys(SSL_KEY_UPDATE_REQUESTED));
        got = client_read(tls.client, tls.fd, read, sizeof read);
        assert_true(buffer_size(&tls.client->sending) < MUCH);
    }
    assert_int_equal(got, -1);
    assert_int_equal(errno, EPROTO);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, connect_both, close_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONNECTED(a_slow_reader_gets_all),
        CONNECTED(an_end_behind_a_full_socket),
        CONNECTED(what_does_not_fit_is_held),
        CONNECTED(an_end_is_one_only_if_it_is_said),
        CONNECTED(a_cut),
        CONNECTED(what_is_no_record),
        CONNECTED(new_keys),
        CONNECTED(new_keys_for_nothing),
        CONNECTED(an_answer_that_is_nobody_elses),
        CONNECTED(a_flood_of_wishes),
    };
    return cmocka_run_group_tests(tests, open_server, close_server);
}
