/* test_socket_failure: what is logged if a read or a write of a session's socket fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/session/socket.h"
#include "tests/unit/shard_fixture.h"

#define GIVEN_UP "The session was given up: "

/* The errno with which each fails; 0: they don't. */
static int recv_fails, send_fails;

/* The linker puts them in the place of the library's, whose names are reserved. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
ssize_t __real_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);
ssize_t __real_send(int fd, const void *data, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);

ssize_t __wrap_recv(int fd, void *data, size_t size, int flags)
{
    errno = recv_fails;
    return recv_fails ? -1 : __real_recv(fd, data, size, flags);
}

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
    errno = send_fails;
    return send_fails ? -1 : __real_send(fd, data, size, flags);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static const struct {
    int failure;
    bool is_logged; /* the connection is not the reason */
} rows[] = {
    {ECONNRESET, false},   {EPIPE, false},  {ETIMEDOUT, false},
    {EHOSTUNREACH, false}, {ENOBUFS, true}, {ENOMEM, true},
};

/* Sessions whose reads, or writes, fail. */
static void assert_logged(int *fails)
{
    unsigned logged = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int client;
        struct session *session = fixture_session(&client);
        fixture_say(client, "hello\n");
        *fails = rows[i].failure;
        assert_true(turn_event(session, &fixture.scratch, EPOLLIN));
        *fails = 0;
        assert_true(session->closed);
        logged += rows[i].is_logged;
        close(client);
    }
    assert_int_equal(fixture_logged(GIVEN_UP), logged);
    assert_int_equal(fixture_logged(GIVEN_UP "the system has no memory for its socket"), logged);
}

static void a_read_that_fails_for_lack_of_memory_is_logged(void **state)
{
    (void) state;
    assert_logged(&recv_fails);
}

static void a_write_that_fails_for_lack_of_memory_is_logged(void **state)
{
    (void) state;
    assert_logged(&send_fails);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_read_that_fails_for_lack_of_memory_is_logged),
        FIXTURE_TEST(a_write_that_fails_for_lack_of_memory_is_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
