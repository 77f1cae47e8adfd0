/* test_turn_bounds: a client that sends without pause gets its turn and no more: behind each read
 * of the server's there is as much to be read as the socket holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/session/input.h"
#include "tests/unit/shard_fixture.h"

enum {
    READ_BYTES = 64 << 10,
    LARGE_READ_BYTES = 256 << 10,
    ENOUGH = 1000, /* reads in a turn, after which there is a pause */
    LARGE_BYTES = 140000,
    MANY_TURNS = 20,
};

/* ---- a client without pause ---- */

static struct {
    int client; /* 0: none */
    unsigned reads;
    size_t bytes;
    char text[LARGE_BYTES]; /* what it sends, again and again: */
    size_t size;            /* of this many bytes */
    size_t at;              /* that of them comes next */
} flood;

static void send_more(void)
{
    ssize_t sent;
    while ((sent = send(flood.client, flood.text + flood.at, flood.size - flood.at,
                        MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        flood.at = (flood.at + (size_t) sent) % flood.size;
}

/* The linker puts it in the place of the library's, whose names are reserved. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
ssize_t __real_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);

ssize_t __wrap_recv(int fd, void *data, size_t size, int flags)
{
    ssize_t got = __real_recv(fd, data, size, flags);
    if (!flood.client || fd == flood.client)
        return got;
    flood.bytes += got > 0 ? (size_t) got : 0;
    if (++flood.reads < ENOUGH)
        send_more();
    return got;
}
/* NOLINTEND(bugprone-reserved-identifier) */

static struct session *begin_flood(const char *text)
{
    int client;
    struct session *session = fixture_session(&client);
    size_t size = strlen(text);
    memset(&flood, 0, sizeof flood);
    flood.client = client;
    flood.size = sizeof flood.text - sizeof flood.text % size;
    for (size_t at = 0; at < flood.size; at++)
        flood.text[at] = text[at % size];
    send_more();
    return session;
}

/* About. */
static size_t held_by_socket(const struct session *session)
{
    int size = 0;
    socklen_t length = sizeof size;
    assert_int_equal(getsockopt(session->fd, SOL_SOCKET, SO_SNDBUF, &size, &length), 0);
    return (size_t) size;
}

static void end_flood(void)
{
    close(flood.client);
    flood.client = 0;
}

/* ---- turns ---- */

static const struct {
    const char *text;
    enum frame_codec codec;
    bool telnet;
} floods[] = {
    {"quick\n", FRAME_LINE, false},
    {"never ends", FRAME_LINE, false},
    {"quick\n", FRAME_BLOCK, false},
    {"\xff\xfd\x01", FRAME_LINE, true},
    {"\xff\xfa\x01", FRAME_LINE, true},
    {"1:a,", FRAME_NETSTRING, false},
    {"not a netstring", FRAME_NETSTRING, false},
    {"anything", FRAME_RAW, false},
};

static void a_turn_reads_once_and_of_an_overlong_message_what_is_there(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        fixture_config()->codec = floods[i].codec;
        fixture_config()->telnet = floods[i].telnet;
        fixture.shared.settings.rules.codec = frame_codec_of_requests(floods[i].codec);
        struct session *session = begin_flood(floods[i].text);
        size_t most = READ_BYTES;
        if (floods[i].codec == FRAME_RAW) /* the first read, and then what is there */
            most = FIXTURE_MAX_MESSAGE + 1 + 2 * held_by_socket(session);
        assert_true(turn_event(session, &fixture.scratch, EPOLLIN));
        assert_true(flood.bytes > 0);
        assert_true(flood.bytes <= most);
        assert_true(flood.reads <= 1 + most / READ_BYTES + 1);
        assert_true(!session->active || buffer_size(&session->active->input) <= READ_BYTES);
        end_flood();
    }
}

/* A batch that began at this time has taken none, or long. */
static int64_t just_now(void) { return clock_ms() + 3600000; }
static int64_t long_ago(void) { return clock_ms() - 1000; }

/* However many more of them are there, or however long it is. */
static void a_turn_reads_one_large_message_to_its_end(void **state)
{
    (void) state;
    static char text[LARGE_BYTES];
    memset(text, 'x', LARGE_BYTES - 1);
    text[LARGE_BYTES - 2] = '\n';
    fixture.shared.settings.rules.max_bytes = 1 << 20;
    fixture.shard.loop.now_ms = just_now();
    struct session *session = begin_flood(text);
    for (unsigned turns = 1; turns <= MANY_TURNS; turns++) {
        flood.bytes = 0;
        assert_true(turn_event(session, &fixture.scratch, EPOLLIN));
        assert_int_equal(fixture.calls, turns);
        assert_true(flood.bytes <= LARGE_BYTES + LARGE_READ_BYTES);
    }
    end_flood();
    session = begin_flood("never ends");
    assert_true(turn_event(session, &fixture.scratch, EPOLLIN));
    assert_true(flood.bytes <= (1 << 20) + LARGE_READ_BYTES);
    end_flood();
}

static void a_turn_reads_once_if_the_batch_has_taken_long(void **state)
{
    (void) state;
    fixture.shared.settings.rules.max_bytes = 1 << 20;
    fixture.shard.loop.now_ms = long_ago();
    struct session *session = begin_flood("never ends");
    for (unsigned turns = 1; turns <= 3; turns++) {
        assert_true(turn_event(session, &fixture.scratch, EPOLLIN));
        assert_int_equal(flood.reads, turns);
    }
    end_flood();
}

/* What is there at once is one message, whose size is logged; the quit word in it counts. */
static void an_overlong_message_in_raw_is_all_that_is_there(void **state)
{
    (void) state;
    static char text[200001];
    int client;
    fixture_config()->codec = FRAME_RAW;
    fixture.shared.settings.rules.codec = FRAME_RAW;
    fixture_session(&client);
    memset(text, 'x', 150000);
    fixture_ask(client, text, "-ERR too-long too long");
    fixture_ask(client, "quick", "quick");
    memcpy(text + 150000, "--QUIT--not run", 16);
    fixture_say(client, text);
    assert_true(fixture_run());
    fixture_expect_end(client, "-ERR too-long too long");
    assert_int_equal(fixture_logged("greater than expected 150000"), 2);
    close(client);
}

static void what_is_thrown_away_at_the_close_is_read_once_a_turn(void **state)
{
    (void) state;
    struct session *session = begin_flood("--QUIT--\n");
    assert_true(turn_event(session, &fixture.scratch, EPOLLIN));
    assert_true(session->closing);
    for (unsigned turns = 2; turns < 10; turns++) {
        assert_true(turn_event(session, &fixture.scratch, EPOLLIN));
        assert_int_equal(flood.reads, turns);
    }
    end_flood();
}

static void the_stop_reads_what_had_come_before_it(void **state)
{
    (void) state;
    struct session *session = begin_flood("never ends");
    turn_drain(session, &fixture.scratch);
    size_t left = session->active->drain_left;
    for (unsigned turns = 0; !session->closed && !session->closing; turns++) {
        assert_true(turns < 100);
        assert_true(turn_ready(session, &fixture.scratch));
    }
    assert_true(flood.bytes <= left);
    end_flood();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_turn_reads_once_and_of_an_overlong_message_what_is_there),
        FIXTURE_TEST(a_turn_reads_one_large_message_to_its_end),
        FIXTURE_TEST(a_turn_reads_once_if_the_batch_has_taken_long),
        FIXTURE_TEST(an_overlong_message_in_raw_is_all_that_is_there),
        FIXTURE_TEST(what_is_thrown_away_at_the_close_is_read_once_a_turn),
        FIXTURE_TEST(the_stop_reads_what_had_come_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
