/*
 * test_peer: what is kept of the other end of a connection, and what is said of it, also when
 * several keep it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/net/listener.h"
#include "server/net/peer.h"
#include "server/request_owner.h"
#include "tests/unit/resolve_one.h"

/* A connected socket, and its other end. */
static void open_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static void close_pair(int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static void it_is_described(void **state)
{
    (void) state;
    char uid[PEER_IDENTITY_SIZE];
    snprintf(uid, sizeof uid, "uid=%lu", (unsigned long) geteuid());
    const struct {
        const char *listener, *address, *shown, *identity;
    } cases[] = {
        {"127.0.0.1:8000", "127.0.0.2:54012", "127.0.0.2:54012", ""},
        {"[::1]:8000", "[::1]:54012", "[::1]:54012", ""},
        {"[::]:8000", "[::ffff:127.0.0.2]:7", "127.0.0.2:7", ""},
        {"unix:some\tpath", "unix:", "unix:some\tpath", uid},
    };
    int fds[2];
    open_pair(fds);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct address listener = resolve_one(cases[i].listener);
        struct address address = listener;
        struct peer peer;
        struct peer_text text;
        if (strcmp(cases[i].address, "unix:") != 0)
            address = resolve_one(cases[i].address);
        assert_true(peer_init(&peer, &address, fds[0]));
        peer_describe(&peer, &listener, &text);
        assert_string_equal(text.address, cases[i].shown);
        assert_string_equal(text.identity, cases[i].identity);
        peer_fini(&peer, &listener);
    }
    close_pair(fds);
}

/* Nothing must be taken for the user 0. */
static void one_whose_user_is_not_known_has_no_identity(void **state)
{
    (void) state;
    struct address listener = resolve_one("unix:path");
    struct peer_text text;
    struct peer peer, zero = {0};
    assert_true(peer_init(&peer, &listener, -1));
    peer_describe(&peer, &listener, &text);
    assert_string_equal(text.identity, "");
    peer_describe(&zero, &listener, &text);
    assert_string_equal(text.identity, "");
}

static struct request *new_request(const struct listeners *listeners, const struct peer *peer)
{
    struct request *request = request_new(NULL, NULL, NULL);
    assert_non_null(request);
    request->listeners = listeners;
    request_start(request, NULL, NULL, 1, "x", 1);
    request_set_peer(request, peer, 1);
    return request;
}

/* It is shared by a hold, by those who go on with the loop, and by both. */
static void a_request_knows_it_when_the_session_has_ended(void **state)
{
    (void) state;
    static struct listeners listeners;
    listeners.items[1].address = resolve_one("[::1]:8000");
    const struct address *listener = &listeners.items[1].address;
    struct address address = resolve_one("[::1]:54012");
    for (int keeps = 1; keeps < 4; keeps++) {
        struct peer peer;
        struct peer_text text;
        assert_true(peer_init(&peer, &address, -1));
        struct request *request = new_request(&listeners, &peer);
        if (keeps & 1)
            request_adopt(request);
        if (keeps & 2) {
            assert_true(request_hold(request));
            request_release(request);
        }
        peer_fini(&peer, listener); /* the session's */
        request_describe_peer(request, &text);
        assert_string_equal(text.address, "[::1]:54012");
        request_free(request);
    }
}

static void a_request_of_nobody_has_none(void **state)
{
    (void) state;
    struct peer_text text = {"x", "x"};
    struct request *request = request_new(NULL, NULL, NULL);
    assert_non_null(request);
    request_start(request, NULL, NULL, 1, "x", 1);
    request_describe_peer(request, &text);
    assert_string_equal(text.address, "");
    assert_string_equal(text.identity, "");
    assert_true(request_hold(request));
    request_free(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_described),
        cmocka_unit_test(one_whose_user_is_not_known_has_no_identity),
        cmocka_unit_test(a_request_knows_it_when_the_session_has_ended),
        cmocka_unit_test(a_request_of_nobody_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
