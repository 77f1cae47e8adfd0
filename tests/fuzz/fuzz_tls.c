/*
 * fuzz_tls: the server's TLS and the client's, with a man in the middle, who passes on what each
 * says in pieces, turns bits round, adds bytes and cuts. Either end reads what the other one wrote,
 * in order, and nothing else; it has an end only if the other one said so behind all of it; and if
 * nobody meddled it gets there. Another client of the same thread never notices.
 *
 * Input: two bytes for a bit to turn round in the handshake (0: none); steps of two bytes each.
 */
#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/tls/state.h"
#include "common/clock.h"
#include "common/tls/certificate.h"
#include "server/tls/state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/certificate.h"

extern const struct tls_module banter_tls;
extern const struct tls_library banterd_tls;

enum {
    MOST_BYTES = 100000, /* that an end writes */
    MOST_NEW_KEYS = 8,   /* that are no flood, with an answer to each */
};

static struct tls_server *server;
static char pin[TLS_PIN_SIZE];

/* One way through the middle. */
struct way {
    int from, to;
    struct buffer held; /* received, and not passed on */
    size_t written;     /* by the end that it comes from: bytes that were counted */
    size_t tried;       /* and with those that were not */
    size_t read;        /* by the other end */
    bool is_ended;      /* the writer has said so */
    bool has_end;       /* the reader has seen it */
    bool has_failed;    /* the reader has */
    bool is_meddled;    /* something is on its way that the writer did not say */
    bool is_cut;
};

struct talk {
    struct tls_client *there; /* the server's end */
    struct tls_session *here; /* the client's */
    int there_fd, here_fd;
    struct way up, down; /* to the server; to the client */
    bool is_open;
    bool is_ending; /* the server's end waits for room */
    unsigned new_keys;
};

static void make_server(void)
{
    char path[] = CERTIFICATE_PATH;
    struct error error;
    X509 *certificate = certificate_make(path);
    FUZZ_REQUIRE(certificate);
    server = banterd_tls.open(&(struct tls_files){.certificate = path}, &error);
    unlink(path);
    FUZZ_REQUIRE(server);
    server->library = &banterd_tls;
    tls_pin(certificate, pin);
    X509_free(certificate);
}

/* ---- the middle ---- */

static void take_in(struct way *way)
{
    ssize_t got;
    do {
        FUZZ_REQUIRE(buffer_reserve(&way->held, 1 << 16));
        got = recv(way->from, buffer_tail(&way->held), 1 << 16, 0);
        if (got > 0)
            buffer_added(&way->held, (size_t) got);
    } while (got > 0);
}

/* Passes on so many bytes, or what there is, or what is taken. Returns whether it was anything. */
static bool pass(struct way *way, size_t most)
{
    take_in(way);
    size_t size = buffer_size(&way->held);
    if (size > most)
        size = most;
    ssize_t sent =
        size > 0 && !way->is_cut ? send(way->to, buffer_head(&way->held), size, MSG_NOSIGNAL) : 0;
    if (sent > 0)
        buffer_consume(&way->held, (size_t) sent);
    return sent > 0;
}

static void turn_bit_round(struct way *way, unsigned number)
{
    take_in(way);
    size_t size = buffer_size(&way->held);
    if (size == 0)
        return;
    buffer_head(&way->held)[number / 8 % size] ^= (char) (1 << number % 8);
    way->is_meddled = true;
}

static void add_bytes(struct way *way, unsigned number)
{
    static const struct {
        const char *bytes;
        size_t size;
    } records[] = {
        {"\x15\3\3\0\2\1\0", 7},          /* close_notify, in the clear */
        {"\x15\3\3\0\2\2\x31", 7},        /* access_denied */
        {"\x14\3\3\0\1\1", 6},            /* a change of ciphers */
        {"\x17\3\3\0\0", 5},              /* nothing */
        {"\x17\3\3\0\1x", 6},             /* too short */
        {"\x16\3\3\0\5\x18\0\0\1\0", 10}, /* new keys */
        {"Hello\n", 6},
        {"\x17\3\3\xff\xff", 5},
    };
    if (way->is_cut)
        return;
    take_in(way);
    FUZZ_REQUIRE(buffer_append(&way->held, records[number % 8].bytes, records[number % 8].size));
    way->is_meddled = true;
}

static void cut(struct way *way)
{
    pass(way, SIZE_MAX);
    shutdown(way->to, SHUT_WR);
    way->is_cut = true;
}

/* ---- the ends ---- */

static char byte_at(size_t number) { return (char) (number * 31 / 7); }

/* What comes of it may be told the other end, too. */
static bool is_left_alone(const struct talk *talk)
{
    return !talk->up.is_meddled && !talk->down.is_meddled && !talk->up.is_cut && !talk->down.is_cut;
}

/* Each read is checked at once. */
static void check_read(const struct talk *talk, struct way *way, const char *data, ssize_t got)
{
    for (ssize_t i = 0; i < got; i++)
        FUZZ_REQUIRE(data[i] == byte_at(way->read + (size_t) i));
    if (got > 0) {
        way->read += (size_t) got;
        FUZZ_REQUIRE(way->read <= way->tried && !way->has_end && !way->has_failed);
    } else if (got < 0 && errno != EAGAIN) {
        FUZZ_REQUIRE(!is_left_alone(talk));
        way->has_failed = true;
    }
}

static void check_end(struct way *way)
{
    way->has_end = true;
    FUZZ_REQUIRE(way->is_ended && way->read == way->written);
}

static bool read_here(struct talk *talk, size_t size)
{
    char data[1 << 14];
    ssize_t got = banter_tls.read(talk->here, data, size);
    check_read(talk, &talk->down, data, got);
    if (got == 0)
        check_end(&talk->down);
    FUZZ_REQUIRE(got >= 0 || errno == EAGAIN || banter_tls.why(talk->here)[0]);
    return got > 0 || (got < 0 && errno == EAGAIN && banter_tls.has_unread(talk->here));
}

static bool read_there(struct talk *talk, size_t size)
{
    char data[1 << 14];
    bool was_failed = talk->up.has_failed;
    ssize_t got = banterd_tls.read(talk->there, talk->there_fd, data, size);
    check_read(talk, &talk->up, data, got);
    if (got == 0 && talk->there->was_cut)
        FUZZ_REQUIRE(talk->up.is_cut || talk->up.has_failed);
    else if (got == 0)
        check_end(&talk->up);
    FUZZ_REQUIRE(!was_failed || got <= 0);
    return got > 0;
}

static size_t fill(char *data, size_t from, size_t size)
{
    size_t left = MOST_BYTES - from;
    if (size > left)
        size = left;
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(from + i);
    return size;
}

static void count(struct way *way, ssize_t taken, size_t size)
{
    FUZZ_REQUIRE(taken <= (ssize_t) size);
    if (way->tried < way->written + size)
        way->tried = way->written + size;
    if (taken > 0)
        way->written += (size_t) taken;
}

static void write_here(struct talk *talk, size_t size)
{
    static char data[MOST_BYTES];
    if (talk->up.is_ended)
        return;
    size = fill(data, talk->up.written, size);
    count(&talk->up, banter_tls.write(talk->here, data, size), size);
}

static void write_there(struct talk *talk, size_t size)
{
    static char data[MOST_BYTES];
    size_t least = talk->down.tried - talk->down.written; /* it may not become less */
    if (talk->down.is_ended)
        return;
    size = fill(data, talk->down.written, size > least ? size : least);
    if (size > 0)
        count(&talk->down, banterd_tls.write(talk->there, talk->there_fd, data, size), size);
}

static void end_here(struct talk *talk)
{
    talk->up.is_ended = true;
    banter_tls.end(talk->here);
}

/* As a session does: behind all that it has written. */
static void end_there(struct talk *talk)
{
    if (talk->down.tried > talk->down.written)
        return;
    talk->down.is_ended = true;
    talk->is_ending = !banterd_tls.end(talk->there, talk->there_fd);
}

/* Of the client's end, which else never begins this; and of the server's. */
static void change_keys(struct talk *talk, unsigned number)
{
    if (++talk->new_keys > MOST_NEW_KEYS)
        talk->up.is_meddled = true;
    struct client *client = (struct client *) talk->there;
    int kind = number & 1 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;
    if (number & 2) {
        client->buffers = (struct tls_buffers){&talk->there->received, &talk->there->sending};
        if (!talk->down.is_ended && SSL_key_update(client->ssl, kind) == 1)
            SSL_do_handshake(client->ssl);
    } else if (!talk->up.is_ended && SSL_key_update(talk->here->ssl, kind) == 1) {
        SSL_do_handshake(talk->here->ssl);
    }
}

/* ---- the handshake ---- */

/* As the lobby does. */
static bool step_there(struct talk *talk, bool *is_done)
{
    struct error error = {""};
    struct tls_client *client = talk->there;
    FUZZ_REQUIRE(buffer_reserve(&client->received, 1 << 14));
    ssize_t got = recv(talk->there_fd, buffer_tail(&client->received), 1 << 14, 0);
    if (got <= 0)
        return errno == EAGAIN;
    buffer_added(&client->received, (size_t) got);
    enum tls_step step = client->library->shake_hands(client, &error);
    FUZZ_REQUIRE(step != TLS_FAILED || error.text[0]);
    if (step != TLS_FAILED)
        *is_done = step == TLS_DONE;
    ssize_t sent = send(talk->there_fd, buffer_head(&client->sending),
                        buffer_size(&client->sending), MSG_NOSIGNAL);
    if (sent > 0)
        buffer_consume(&client->sending, (size_t) sent);
    return step != TLS_FAILED;
}

/* Each look of the client ends at once, so that one thread is enough for all. */
static bool step_here(struct talk *talk, bool *is_done)
{
    struct error error = {""};
    enum tls_opening opening =
        banter_tls.shake_hands(talk->here, talk->here_fd, clock_ms(), 1, &error);
    *is_done = opening == TLS_OPEN;
    FUZZ_REQUIRE(*is_done || error.text[0]);
    return *is_done || strncmp(error.text, "no handshake within", 19) == 0;
}

static void shake_hands(struct talk *talk, unsigned bit)
{
    bool is_done_here = false, is_done_there = false, goes_on = true;
    for (int turn = 0; goes_on && turn < 9 && !(is_done_here && is_done_there); turn++) {
        goes_on = is_done_here || step_here(talk, &is_done_here);
        if (turn == 0 && bit & 1)
            turn_bit_round(&talk->up, bit);
        pass(&talk->up, SIZE_MAX);
        goes_on = goes_on && (is_done_there || step_there(talk, &is_done_there));
        if (turn == 0 && bit && !(bit & 1))
            turn_bit_round(&talk->down, bit);
        pass(&talk->down, SIZE_MAX);
    }
    talk->is_open = is_done_here && is_done_there;
    FUZZ_REQUIRE(talk->is_open || bit);
}

/* ---- a life ---- */

static void open_both(struct talk *talk)
{
    int up[2], down[2];
    struct error error;
    enum tls_opening opening;
    struct tls_settings settings = {.pin = pin};
    FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, up) == 0);
    FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, down) == 0);
    *talk = (struct talk){
        .there = banterd_tls.new_client(server),
        .here = banter_tls.create(&settings, "", &opening, &error),
        .here_fd = up[0],
        .there_fd = down[0],
        .up = {.from = up[1], .to = down[1]},
        .down = {.from = down[1], .to = up[1]},
    };
    FUZZ_REQUIRE(talk->there && talk->here);
    static const int least = 1; /* a few KiB that nobody reads are all that either can say */
    setsockopt(up[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    setsockopt(down[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
}

static void close_both(struct talk *talk)
{
    banterd_tls.free(talk->there);
    banter_tls.free(talk->here);
    close(talk->here_fd);
    close(talk->there_fd);
    close(talk->up.from);
    close(talk->up.to);
    buffer_fini(&talk->up.held);
    buffer_fini(&talk->down.held);
}

static void step(struct talk *talk, struct fuzz_input *input)
{
    unsigned what = fuzz_byte(input), number = fuzz_byte(input);
    struct way *way = what & 1 ? &talk->up : &talk->down;
    size_t size = (size_t) number * (what & 2 ? 97 : 1);
    switch (what / 4 % 10) {
    case 0:
        (what & 1 ? write_here : write_there)(talk, size);
        break;
    case 1:
        (what & 1 ? read_there : read_here)(talk, size < 1 ? 1 : size > 16384 ? 16384 : size);
        break;
    case 2:
        (what & 1 ? end_here : end_there)(talk);
        break;
    case 3:
        change_keys(talk, number);
        break;
    case 4:
        turn_bit_round(way, number | (what & 2) << 7);
        break;
    case 5:
        add_bytes(way, number);
        break;
    case 6:
        if (number % 4 == 0)
            cut(way);
        break;
    default:
        pass(way, size);
        break;
    }
}

/* All that is on its way gets there. */
static void settle(struct talk *talk)
{
    int turn = 0;
    pass(&talk->up, SIZE_MAX);
    pass(&talk->down, SIZE_MAX);
    for (bool moved = true; moved;) {
        FUZZ_REQUIRE(turn++ < 10000);
        while (read_there(talk, 1 << 14))
            continue;
        while (read_here(talk, 1 << 14))
            continue;
        if (talk->down.tried > talk->down.written)
            write_there(talk, 0);
        else if (talk->is_ending) /* for that alone */
            talk->is_ending = banterd_tls.write(talk->there, talk->there_fd, "", 1) < 0;
        banter_tls.write(talk->here, "", 0);
        moved = pass(&talk->up, SIZE_MAX);
        moved |= pass(&talk->down, SIZE_MAX);
    }
}

static void check_ways(const struct talk *talk)
{
    const struct way *ways[] = {&talk->up, &talk->down};
    for (int i = 0; i < 2; i++) {
        if (is_left_alone(talk))
            FUZZ_REQUIRE(ways[i]->has_end && ways[i]->read == ways[i]->written);
    }
}

/* ---- another client of the same thread, whom nobody meddles with ---- */

static struct talk neighbour;

static void open_neighbour(void)
{
    open_both(&neighbour);
    shake_hands(&neighbour, 0);
}

static void check_neighbour(void)
{
    if (neighbour.down.written + 2 > MOST_BYTES) {
        close_both(&neighbour);
        open_neighbour();
    }
    write_there(&neighbour, 1);
    write_here(&neighbour, 1);
    settle(&neighbour);
    FUZZ_REQUIRE(neighbour.down.read == neighbour.down.written && neighbour.down.read > 0);
    FUZZ_REQUIRE(neighbour.up.read == neighbour.up.written && neighbour.up.read > 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void) argc;
    (void) argv;
    make_server();
    open_neighbour();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct talk talk;
    unsigned bit = fuzz_byte(&input);
    bit |= fuzz_byte(&input) << 8;
    open_both(&talk);
    shake_hands(&talk, bit);
    talk.up.is_meddled = talk.down.is_meddled = false; /* of that nothing was said */
    if (talk.is_open) {
        while (input.left > 0)
            step(&talk, &input);
        check_neighbour();
        settle(&talk);
        end_here(&talk);
        end_there(&talk);
        settle(&talk);
        check_ways(&talk);
    }
    close_both(&talk);
    return 0;
}
