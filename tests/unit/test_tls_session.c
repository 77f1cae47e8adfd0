/*
 * A client's TLS with a server that does what few do: new keys at any time, tickets without end,
 * and nothing of what it is sent taken. Both ends are here, over a pair of sockets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/tls/state.h"
#include "common/clock.h"
#include "common/tls/certificate.h"

extern const struct tls_module banter_tls;

/* ---- OpenSSL's memory ---- */

static _Thread_local long until_failure; /* calls; 0: none fails */

static bool fails(void) { return until_failure > 0 && --until_failure == 0; }

static void *allocate(size_t size, const char *file, int line)
{
    (void) file, (void) line;
    return fails() ? NULL : malloc(size);
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    (void) file, (void) line;
    return fails() ? NULL : realloc(memory, size);
}

static void release(void *memory, const char *file, int line)
{
    (void) file, (void) line;
    free(memory);
}

/* ---- the server ---- */

static X509 *certificate;
static EVP_PKEY *key;
static char pin[TLS_PIN_SIZE];

static void add_name(X509_NAME *subject, const char *kind, const char *text)
{
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, kind, MBSTRING_UTF8,
                                                (const unsigned char *) text, -1, -1, 0),
                     1);
}

static int make_certificate(void **state)
{
    (void) state;
    key = EVP_EC_gen("P-256");
    certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    add_name(subject, "O", "Käse, Brot");
    add_name(subject, "CN", "localhost");
    X509_set_issuer_name(certificate, subject);
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    tls_pin(certificate, pin);
    return 0;
}

static int free_certificate(void **state)
{
    (void) state;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return 0;
}

struct pair {
    SSL *server;
    int server_socket;
    int client_socket;
    struct tls_session *client;
};

static void *shake_hands(void *server)
{
    SSL_accept(server);
    return NULL;
}

static void open_server(struct pair *pair)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
    pair->server = SSL_new(context);
    SSL_CTX_free(context);
    pair->server_socket = fds[0];
    pair->client_socket = fds[1];
    SSL_set_fd(pair->server, fds[0]);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
}

static void open_pair(struct pair *pair)
{
    pthread_t thread;
    struct error error = {""};
    enum tls_opening opening;
    struct tls_settings settings = {.pin = pin};
    open_server(pair);
    pair->client = banter_tls.create(&settings, "localhost", &opening, &error);
    assert_non_null(pair->client);
    assert_int_equal(pthread_create(&thread, NULL, shake_hands, pair->server), 0);
    opening = banter_tls.shake_hands(pair->client, pair->client_socket, CLOCK_NEVER, 0, &error);
    pthread_join(thread, NULL);
    assert_string_equal(error.text, "");
    assert_int_equal(opening, TLS_OPEN);
    assert_int_equal(fcntl(pair->server_socket, F_SETFL, O_NONBLOCK), 0);
}

static void close_pair(struct pair *pair)
{
    banter_tls.free(pair->client);
    SSL_free(pair->server);
    close(pair->server_socket);
    close(pair->client_socket);
}

/* False if the socket is full. */
static bool ask_for_new_keys(struct pair *pair)
{
    return SSL_key_update(pair->server, SSL_KEY_UPDATE_REQUESTED) == 1 &&
           SSL_do_handshake(pair->server) == 1;
}

static bool say(struct pair *pair, const char *text)
{
    return SSL_write(pair->server, text, (int) strlen(text)) == (int) strlen(text);
}

/* ---- the client ---- */

/* Reads until there is nothing more; returns how much it was. -1 and errno at a failure. */
static ssize_t read_all(struct pair *pair, struct buffer *text)
{
    size_t before = buffer_size(text);
    for (;;) {
        assert_true(buffer_reserve(text, 1000));
        ssize_t size = banter_tls.read(pair->client, buffer_tail(text), 1000);
        if (size > 0)
            buffer_added(text, (size_t) size);
        else if (size == 0 || (errno == EAGAIN && !banter_tls.has_unread(pair->client)))
            return (ssize_t) (buffer_size(text) - before);
        else if (errno != EAGAIN)
            return -1;
    }
}

static void assert_server_reads(struct pair *pair, const char *expected)
{
    char text[100] = "";
    size_t size = 0;
    while (size < strlen(expected)) {
        int piece = SSL_read(pair->server, text + size, (int) (sizeof text - size - 1));
        if (piece <= 0)
            break;
        size += (size_t) piece;
    }
    assert_string_equal(text, expected);
}

/* ---- tests ---- */

static void test_identity(void **state)
{
    (void) state;
    struct pair pair;
    open_pair(&pair);
    assert_string_equal(banter_tls.identity(pair.client), "CN=localhost,O=Käse\\, Brot");
    close_pair(&pair);
}

/* With new keys on both sides before each line. */
static void test_new_keys(void **state)
{
    (void) state;
    struct pair pair;
    struct buffer text = {0};
    open_pair(&pair);
    for (int i = 0; i < 1000; i++) {
        assert_true(ask_for_new_keys(&pair));
        assert_true(say(&pair, "line\n"));
        assert_int_equal(read_all(&pair, &text), 5);
        assert_int_equal(banter_tls.write(pair.client, "word\n", 5), 5);
        assert_server_reads(&pair, "word\n");
    }
    buffer_fini(&text);
    close_pair(&pair);
}

/* What we owe waits for the server, and what it says is read all the same. */
static void test_a_server_that_takes_nothing(void **state)
{
    (void) state;
    static const char zeros[1 << 16];
    struct pair pair;
    struct buffer text = {0};
    open_pair(&pair);
    while (banter_tls.write(pair.client, zeros, sizeof zeros) > 0)
        ;
    assert_int_equal(errno, EAGAIN);
    assert_true(banter_tls.has_unsent(pair.client));
    for (int i = 0; i < 100; i++) {
        assert_true(ask_for_new_keys(&pair));
        assert_true(say(&pair, "line\n"));
        assert_int_equal(read_all(&pair, &text), 5);
    }
    banter_tls.end(pair.client);
    size_t taken = 0;
    int piece;
    char data[1 << 14];
    do {
        while ((piece = SSL_read(pair.server, data, sizeof data)) > 0)
            taken += (size_t) piece;
    } while (banter_tls.has_unsent(pair.client) && banter_tls.write(pair.client, "", 0) == 0);
    while ((piece = SSL_read(pair.server, data, sizeof data)) > 0)
        taken += (size_t) piece;
    assert_int_equal(SSL_get_error(pair.server, piece), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(taken % sizeof zeros % SSL3_RT_MAX_PLAIN_LENGTH, 0);
    assert_true(taken > 0);
    buffer_fini(&text);
    close_pair(&pair);
}

/* What is not on its way was not written. */
static void test_a_send_that_fails(void **state)
{
    (void) state;
    struct pair pair;
    open_pair(&pair);
    assert_int_equal(shutdown(pair.client_socket, SHUT_WR), 0);
    assert_int_equal(banter_tls.write(pair.client, "word\n", 5), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(banter_tls.write(pair.client, "", 0), -1);
    close_pair(&pair);
}

/* There is an end to what it can make us owe. */
static void test_a_flood_of_wishes(void **state)
{
    (void) state;
    struct pair pair;
    struct buffer text = {0};
    ssize_t size = 0;
    open_pair(&pair);
    for (int i = 0; i < 1000000 && size >= 0; i++) {
        assert_true(ask_for_new_keys(&pair));
        assert_true(say(&pair, "x"));
        size = read_all(&pair, &text);
        assert_true(buffer_size(&pair.client->sending) < (size_t) 3 << 20);
    }
    assert_int_equal(size, -1);
    assert_int_equal(errno, EPROTO);
    assert_string_equal(banter_tls.why(pair.client), "it asks for more than it takes");
    assert_false(banter_tls.is_refused(pair.client));
    buffer_fini(&text);
    close_pair(&pair);
}

static void test_tickets(void **state)
{
    (void) state;
    struct pair pair;
    struct buffer text = {0};
    open_pair(&pair);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(SSL_new_session_ticket(pair.server), 1);
        assert_int_equal(SSL_do_handshake(pair.server), 1);
        assert_int_equal(read_all(&pair, &text), 0);
    }
    assert_true(say(&pair, "line\n"));
    assert_int_equal(read_all(&pair, &text), 5);
    buffer_fini(&text);
    close_pair(&pair);
}

/* All that comes behind our end is read: keys, tickets, data, the server's end. */
static void test_behind_our_end(void **state)
{
    (void) state;
    struct pair pair;
    struct buffer text = {0};
    char data[10];
    open_pair(&pair);
    assert_int_equal(banter_tls.write(pair.client, "word\n", 5), 5);
    banter_tls.end(pair.client);
    assert_server_reads(&pair, "word\n");
    assert_int_equal(SSL_read(pair.server, data, sizeof data), 0);
    for (int i = 0; i < 50; i++) {
        assert_true(ask_for_new_keys(&pair));
        assert_int_equal(SSL_new_session_ticket(pair.server), 1);
        assert_int_equal(SSL_do_handshake(pair.server), 1);
        assert_true(say(&pair, "line\n"));
        assert_int_equal(read_all(&pair, &text), 5);
    }
    SSL_shutdown(pair.server);
    assert_int_equal(banter_tls.read(pair.client, data, sizeof data), 0);
    assert_true(banter_tls.has_unread(pair.client)); /* poll(2) will not report that */
    assert_int_equal(banter_tls.read(pair.client, data, sizeof data), 0);
    buffer_fini(&text);
    close_pair(&pair);
}

/* A reader with little room is told that there is more, which the socket does not know of. */
static void test_small_reads(void **state)
{
    (void) state;
    struct pair pair;
    char data[3];
    open_pair(&pair);
    assert_true(say(&pair, "abcdef") && say(&pair, "gh"));
    assert_int_equal(banter_tls.read(pair.client, data, sizeof data), 3);
    assert_true(banter_tls.has_unread(pair.client));
    assert_int_equal(banter_tls.read(pair.client, data, sizeof data), 3);
    assert_true(banter_tls.has_unread(pair.client));
    assert_int_equal(banter_tls.read(pair.client, data, sizeof data), 2);
    assert_memory_equal(data, "gh", 2);
    assert_false(banter_tls.has_unread(pair.client));
    close_pair(&pair);
}

/* A record that comes a byte at a time is nothing until it is whole. */
static void test_a_byte_at_a_time(void **state)
{
    (void) state;
    struct pair pair;
    int between[2];
    char record[100];
    char data[10];
    open_pair(&pair);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, between),
                     0);
    assert_int_equal(banter_tls.read(pair.client, data, sizeof data), -1); /* the tickets */
    assert_true(say(&pair, "line\n"));
    ssize_t size = recv(pair.client_socket, record, sizeof record, 0);
    assert_true(size > 5);
    pair.client->socket = between[0];
    for (ssize_t i = 0; i < size; i++) {
        assert_int_equal(banter_tls.read(pair.client, data, sizeof data), -1);
        assert_int_equal(errno, EAGAIN);
        assert_false(banter_tls.has_unread(pair.client));
        assert_int_equal(send(between[1], record + i, 1, 0), 1);
    }
    assert_int_equal(banter_tls.read(pair.client, data, sizeof data), 5);
    assert_memory_equal(data, "line\n", 5);
    pair.client->socket = pair.client_socket;
    close(between[0]);
    close(between[1]);
    close_pair(&pair);
}

/* Shakes hands and talks, as far as memory goes. */
static void talk(struct pair *pair)
{
    char data[10];
    enum tls_opening opening = TLS_OPEN;
    struct error error = {""};
    struct tls_settings settings = {.pin = pin};
    pair->client = banter_tls.create(&settings, "localhost", &opening, &error);
    if (pair->client)
        opening = banter_tls.shake_hands(pair->client, pair->client_socket, CLOCK_NEVER, 0, &error);
    assert_int_equal(error.text[0] == '\0', pair->client && opening == TLS_OPEN);
    if (pair->client && opening == TLS_OPEN) {
        banter_tls.write(pair->client, "word\n", 5);
        banter_tls.read(pair->client, data, sizeof data);
        banter_tls.end(pair->client);
    }
    if (pair->client)
        banter_tls.free(pair->client);
}

static void test_memory_out(void **state)
{
    (void) state;
    long last = 1;
    for (bool has_failed = true; has_failed; last += 1 + last / 30) {
        struct pair pair;
        pthread_t thread;
        open_server(&pair);
        assert_int_equal(pthread_create(&thread, NULL, shake_hands, pair.server), 0);
        until_failure = last;
        talk(&pair);
        has_failed = until_failure == 0;
        until_failure = 0;
        shutdown(pair.client_socket, SHUT_RDWR);
        pthread_join(thread, NULL);
        SSL_free(pair.server);
        close(pair.server_socket);
        close(pair.client_socket);
    }
    assert_true(last > 300);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* the server's; the client does without */
    CRYPTO_set_mem_functions(allocate, reallocate, release); /* before it uses any */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_new_keys),
        cmocka_unit_test(test_a_server_that_takes_nothing),
        cmocka_unit_test(test_a_send_that_fails),
        cmocka_unit_test(test_a_flood_of_wishes),
        cmocka_unit_test(test_tickets),
        cmocka_unit_test(test_behind_our_end),
        cmocka_unit_test(test_small_reads),
        cmocka_unit_test(test_a_byte_at_a_time),
        cmocka_unit_test(test_memory_out),
    };
    return cmocka_run_group_tests(tests, make_certificate, free_certificate);
}
