/*
 * fuzz_server: some clients at once, each of which sends what it likes, reads, pauses, closes its
 * half or all of it, to a server that runs in this process. Each that ends in order gets every
 * reply that is due, in order, and nothing else; one that leaves gets the first of them; and
 * whoever comes next is served as if nothing had been. Some servers are stopped meanwhile: then the
 * rest is missing, of which the last frame may say so, and nothing else.
 *
 * Input: which server; then steps of a byte each, with a byte for its size and bytes to send.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/protocol.h"
#include "server/server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/services.h"

enum {
    CLIENTS = 3,
    BRIEF = 6,           /* the first services are also started for one input alone */
    PATIENCE_MS = 60000, /* a server that is silent for so long, twice, hangs */
};

struct client {
    int fd; /* -1: not connected yet; -2: it has left */
    char sent[SERVICE_LONGEST_STREAM];
    size_t size;
    struct buffer received;
    bool half_closed;
    bool ended; /* the end of the stream has come */
};

/* ---- what a client does ---- */

static void connect_once(struct client *client, const struct service *service)
{
    if (client->fd == -1 && (client->fd = service_connect(service)) < 0)
        client->fd = -2; /* the server has stopped */
}

/* What could be sent counts, of a server that reads no more. */
static void send_bytes(struct client *client, const char *bytes, size_t size)
{
    size_t room = sizeof client->sent - client->size;
    if (client->fd < 0 || client->half_closed)
        return;
    if (size > room)
        size = room;
    ssize_t sent = size > 0 ? send(client->fd, bytes, size, MSG_NOSIGNAL) : 0;
    if (sent <= 0)
        return;
    memcpy(client->sent + client->size, bytes, (size_t) sent);
    client->size += (size_t) sent;
}

static void half_close(struct client *client)
{
    if (client->fd >= 0 && !client->half_closed)
        shutdown(client->fd, SHUT_WR);
    client->half_closed = true;
}

/* Reads what is there, `most` bytes of it. */
static void receive(struct client *client, size_t most)
{
    ssize_t size = 0;
    while (client->fd >= 0 && !client->ended && most > 0) {
        FUZZ_REQUIRE(buffer_reserve(&client->received, most));
        size = recv(client->fd, buffer_tail(&client->received), most, 0);
        if (size < 0 && errno == EAGAIN)
            return;
        client->ended = size <= 0;
        if (size > 0) {
            buffer_added(&client->received, (size_t) size);
            most -= (size_t) size;
        }
    }
}

static void leave(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -2;
}

static void pause_for(const struct client *client, int ms)
{
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};
    poll(&fd, 1, ms);
}

static void step(struct client *client, const struct service *service, struct fuzz_input *input,
                 unsigned what)
{
    size_t size = fuzz_byte(input);
    connect_once(client, service);
    switch (what) {
    case 4:
        half_close(client);
        break;
    case 5:
        if (size % 4 == 0)
            leave(client);
        break;
    case 6:
        receive(client, size);
        break;
    case 7:
        pause_for(client, (int) size % 4);
        break;
    default: {
        const char *bytes = fuzz_bytes(input, &size);
        send_bytes(client, bytes, size);
        break;
    }
    }
}

_Noreturn static void tell_hang(const struct client *client, const struct service *service)
{
    struct server_stats stats;
    server_stats(service->server, &stats);
    fprintf(stderr,
            "%s: %zu bytes sent, %zu received, and no more come: %u clients, %u computing, "
            "%u threads, %u loops in use\n",
            service->name, client->size, buffer_size(&client->received), stats.clients,
            stats.computing, stats.threads, stats.loops_in_use);
    abort();
}

/* To the end of the stream. */
static void receive_all(struct client *client, const struct service *service)
{
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};
    while (client->fd >= 0 && !client->ended) {
        int found = 0;
        for (int tries = 0; tries < 2 && found <= 0; tries++)
            found = poll(&fd, 1, PATIENCE_MS);
        if (found <= 0) /* twice: once, the whole process may have stood still */
            tell_hang(client, service);
        receive(client, 65536);
    }
}

/* ---- what has come of it ---- */

static bool has_code(const struct replies *replies, unsigned number, const char *code)
{
    return protocol_is_error_code(reply_text(replies, number), replies->reply[number].size, code);
}

/* Whether it says that the server stops; or that a request was begun, and not answered by then. */
static bool is_told(const struct replies *replies, unsigned number)
{
    return has_code(replies, number, PROTOCOL_STOPPING);
}

static bool is_late(const struct replies *replies, unsigned number)
{
    return has_code(replies, number, PROTOCOL_HANDLER_TIMEOUT);
}

/* raw: the reads are one stream, up to the word for quit. */
static void judge_raw(const struct client *client, bool is_all)
{
    size_t size = buffer_size(&client->received);
    const char *text = buffer_head(&client->received);
    static const char stopping[] = "-ERR handler-timeout";
    const char *stop = size > 0 ? memmem(text, size, stopping, strlen(stopping)) : NULL;
    if (stop && !is_all)
        size = (size_t) (stop - text);
    FUZZ_REQUIRE(size <= client->size && fuzz_is_same(client->sent, text, size));
    FUZZ_REQUIRE(!is_all || size == client->size || protocol_find_quit(client->sent, client->size));
}

/* `is_all`: the server was not stopped. */
static void judge(const struct client *client, const struct service *service, bool is_all)
{
    struct replies replies, expected;
    bool has_left = client->fd < 0;
    if (service->codec == FRAME_RAW) {
        judge_raw(client, is_all && !has_left);
        return;
    }
    bool is_whole = replies_read(&replies, service, buffer_head(&client->received),
                                 buffer_size(&client->received));
    replies_expect(&expected, service, client->sent, client->size);
    if (!is_all && replies.count > 0 && is_told(&replies, replies.count - 1))
        replies.count--;
    while (!is_all && replies.count > 0 && is_late(&replies, replies.count - 1))
        replies.count--;
    FUZZ_REQUIRE(is_whole || has_left);
    FUZZ_REQUIRE(replies_begin(&replies, &expected));
    FUZZ_REQUIRE(has_left || !is_all || replies.count == expected.count);
    replies_fini(&replies);
    replies_fini(&expected);
}

/* The next client, which does as all do. */
static void be_good(const struct service *service)
{
    struct client client = {.fd = service_connect(service)};
    struct buffer wire = {0};
    FUZZ_REQUIRE(client.fd >= 0);
    enum frame_codec codec = frame_codec_of_requests(service->codec);
    send_bytes(&client, service_header(service), strlen(service_header(service)));
    FUZZ_REQUIRE(frame_put(&wire, codec, "ok", 2, SIZE_MAX) == FRAME_FITS);
    send_bytes(&client, buffer_head(&wire), buffer_size(&wire));
    half_close(&client);
    receive_all(&client, service);
    judge(&client, service, true);
    leave(&client);
    buffer_fini(&wire);
    buffer_fini(&client.received);
}

static void run(struct service *service, struct fuzz_input *input, bool is_brief)
{
    struct client clients[CLIENTS] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
    bool is_stopped = false;
    while (input->left > 0) {
        unsigned byte = fuzz_byte(input);
        step(&clients[byte % CLIENTS], service, input, byte / CLIENTS % 8);
        if (is_brief && byte >= 240) {
            server_stop(service->server);
            is_stopped = true;
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        half_close(&clients[i]);
    for (unsigned i = 0; i < CLIENTS; i++) {
        receive_all(&clients[i], service);
        judge(&clients[i], service, !is_stopped);
        leave(&clients[i]);
        buffer_fini(&clients[i].received);
    }
    if (!is_stopped)
        be_good(service);
}

/* Requests of HTTP have an answer of their own, which has tests of its own. */
static bool has_http(const uint8_t *data, size_t size) { return memmem(data, size, "HTTP/", 5); }

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void) argc;
    (void) argv;
    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < SERVICES; i++)
        service_start(&services[i]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned which = fuzz_below(&input, SERVICES + BRIEF);
    if (has_http(data, size))
        return -1;
    if (which < SERVICES) {
        run(&services[which], &input, false);
        return 0;
    }
    struct service brief = services[which - SERVICES];
    brief.handler = (struct handler){0};
    service_start(&brief);
    run(&brief, &input, true);
    service_end(&brief);
    return 0;
}
