/*
 * fuzz_lobby: some clients at once that shake hands with a server which runs in this process, or
 * pretend to: what they say comes in pieces, late, cut, with bits turned round or bytes added. Each
 * that nobody meddled with gets through and is answered, and so does whoever comes next; those that
 * leave are not waited for. Some servers are stopped meanwhile, which leaves nothing behind.
 *
 * Input: which server; then steps of two bytes each, some with bytes to send.
 */
#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "server/handlers/kinds.h"
#include "server/net/tls.h"
#include "server/server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/services.h"
#include "tests/unit/certificate.h"

extern const struct tls_library banterd_tls;

enum {
    CLIENTS = 3,
    LOBBIES = 2,         /* that are there for all inputs, and are also started for one alone */
    PATIENCE_MS = 60000, /* a server that does nothing for so long, twice, hangs */
};

static struct service lobbies[LOBBIES] = {
    {"tls", &handler_hello, .codec = FRAME_LINE, .threads = 1},
    {"tls behind a proxy", &handler_hello, .codec = FRAME_LINE, .threads = 1, .proxy = true},
};

static SSL_CTX *trusting;

struct client {
    int fd; /* -1: not connected yet; -2: it has left */
    SSL *ssl;
    struct buffer unsent;
    bool is_meddled; /* it said something else than it should, or not all */
    bool has_ended;  /* the end of the stream has come */
};

/* ---- what a client does ---- */

/* What it says next is there to be sent. Returns whether hands are shaken. */
static bool shake_hands(struct client *client)
{
    char said[1 << 12];
    int size;
    int outcome = SSL_do_handshake(client->ssl);
    while ((size = BIO_read(SSL_get_wbio(client->ssl), said, sizeof said)) > 0)
        FUZZ_REQUIRE(buffer_append(&client->unsent, said, (size_t) size));
    return outcome == 1;
}

static void connect_once(struct client *client, const struct service *service)
{
    const char *header = service_header(service);
    if (client->fd != -1)
        return;
    client->fd = service_connect(service);
    FUZZ_REQUIRE(client->fd >= 0);
    client->ssl = SSL_new(trusting);
    FUZZ_REQUIRE(client->ssl);
    SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client->ssl);
    FUZZ_REQUIRE(buffer_append(&client->unsent, header, strlen(header)));
    shake_hands(client);
}

static void leave(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -2;
    SSL_free(client->ssl);
    client->ssl = NULL;
    buffer_fini(&client->unsent);
}

static void pass(struct client *client, size_t most)
{
    size_t size = buffer_size(&client->unsent);
    if (size > most)
        size = most;
    ssize_t sent =
        size > 0 ? send(client->fd, buffer_head(&client->unsent), size, MSG_NOSIGNAL) : 0;
    if (sent > 0)
        buffer_consume(&client->unsent, (size_t) sent);
}

static void turn_bit_round(struct client *client, unsigned number)
{
    size_t size = buffer_size(&client->unsent);
    if (size == 0)
        return;
    buffer_head(&client->unsent)[number * 7 % size] ^= (char) (1 << number % 8);
    client->is_meddled = true;
}

/* Behind what it should say next, or in its place. */
static void add_bytes(struct client *client, struct fuzz_input *input, unsigned number)
{
    size_t size = number / 2;
    const char *bytes = fuzz_bytes(input, &size);
    if (number & 1 && size > 0)
        buffer_consume(&client->unsent, buffer_size(&client->unsent));
    FUZZ_REQUIRE(buffer_append(&client->unsent, bytes, size));
    client->is_meddled |= size > 0;
}

/* Takes in what is there, and answers it. */
static void receive(struct client *client)
{
    char data[1 << 12];
    ssize_t got = 1;
    while (got > 0 && !client->has_ended) {
        got = recv(client->fd, data, sizeof data, MSG_DONTWAIT);
        client->has_ended = got == 0 || (got < 0 && errno != EAGAIN);
        if (got > 0)
            FUZZ_REQUIRE(BIO_write(SSL_get_rbio(client->ssl), data, (int) got) == got);
    }
    shake_hands(client);
}

static void half_close(struct client *client)
{
    shutdown(client->fd, SHUT_WR);
    client->is_meddled = true;
}

static void wait_for_more(const struct client *client, int ms)
{
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};
    poll(&fd, 1, ms);
}

static void step(struct client *client, const struct service *service, struct fuzz_input *input,
                 unsigned what)
{
    unsigned number = fuzz_byte(input);
    connect_once(client, service);
    if (client->fd < 0)
        return;
    switch (what) {
    case 0:
        turn_bit_round(client, number);
        break;
    case 1:
        add_bytes(client, input, number);
        break;
    case 2:
        half_close(client);
        break;
    case 3:
        leave(client);
        break;
    case 4:
        wait_for_more(client, (int) number % 4);
        break;
    case 5:
        receive(client);
        break;
    default:
        pass(client, what == 6 ? number : SIZE_MAX);
        break;
    }
}

/* ---- what has come of it ---- */

static void wait_for_answer(struct client *client, const struct service *service)
{
    int64_t begun_ms = clock_ms();
    for (int tries = 0; tries < 2; tries++) { /* twice: once, the process may have stood still */
        wait_for_more(client, PATIENCE_MS);
        if (clock_ms() - begun_ms < PATIENCE_MS)
            break;
        FUZZ_REQUIRE(tries == 0 && service->name);
    }
    receive(client);
}

/* To the reply to a request. */
static void finish(struct client *client, const struct service *service)
{
    static const char request[] = "ok\n", expected[] = "Hello OK\n";
    char reply[sizeof expected];
    size_t size = 0, got = 0;
    connect_once(client, service);
    while (!shake_hands(client)) {
        FUZZ_REQUIRE(!client->has_ended);
        pass(client, SIZE_MAX);
        wait_for_answer(client, service);
    }
    FUZZ_REQUIRE(SSL_write_ex(client->ssl, request, strlen(request), &got) == 1);
    shake_hands(client);
    pass(client, SIZE_MAX);
    while (size < strlen(expected)) {
        if (SSL_read_ex(client->ssl, reply + size, strlen(expected) - size, &got) == 1) {
            size += got;
            continue;
        }
        FUZZ_REQUIRE(!client->has_ended);
        wait_for_answer(client, service);
    }
    FUZZ_REQUIRE(fuzz_is_same(reply, expected, size));
}

static void be_good(const struct service *service)
{
    struct client client = {.fd = -1};
    finish(&client, service);
    leave(&client);
}

/* Nobody waits in the lobby whose other end is closed. */
static void await_empty_lobby(const struct service *service)
{
    struct server_stats stats;
    int64_t until_ms = clock_ms() + 2 * PATIENCE_MS;
    do {
        server_stats(service->server, &stats);
        FUZZ_REQUIRE(clock_ms() < until_ms);
        sched_yield();
    } while (stats.lobby.waiting > 0);
}

static void run(struct service *service, struct fuzz_input *input, bool is_brief)
{
    struct client clients[CLIENTS] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
    while (input->left > 0) {
        unsigned byte = fuzz_byte(input);
        step(&clients[byte % CLIENTS], service, input, byte / CLIENTS % 8);
    }
    if (is_brief)
        server_stop(service->server);
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (!is_brief && !clients[i].is_meddled && clients[i].fd >= 0)
            finish(&clients[i], service);
        leave(&clients[i]);
    }
    if (is_brief)
        return;
    be_good(service);
    await_empty_lobby(service);
}

/* ---- the servers ---- */

static void open_tls(void)
{
    char path[] = CERTIFICATE_PATH;
    struct error error;
    X509 *certificate = certificate_make(path);
    FUZZ_REQUIRE(certificate);
    X509_free(certificate);
    struct tls_server *tls = banterd_tls.open(&(struct tls_files){.certificate = path}, &error);
    unlink(path);
    FUZZ_REQUIRE(tls);
    tls->library = &banterd_tls;
    for (unsigned i = 0; i < LOBBIES; i++)
        lobbies[i].tls = tls;
    trusting = SSL_CTX_new(TLS_client_method());
    FUZZ_REQUIRE(trusting);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void) argc;
    (void) argv;
    signal(SIGPIPE, SIG_IGN);
    open_tls();
    for (unsigned i = 0; i < LOBBIES; i++)
        service_start(&lobbies[i]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned which = fuzz_below(&input, 2 * LOBBIES);
    if (which < LOBBIES) {
        run(&lobbies[which], &input, false);
        return 0;
    }
    struct service brief = lobbies[which - LOBBIES];
    brief.handler = (struct handler){0};
    service_start(&brief);
    run(&brief, &input, true);
    service_end(&brief);
    return 0;
}
