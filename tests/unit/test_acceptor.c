/* test_acceptor: connections that wait at listeners, rests, and the last ones; and who is admitted.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "server/engine/loop.h"
#include "server/net/acceptor.h"
#include "server/net/admission.h"
#include "tests/unit/log_capture.h"

static struct acceptor acceptor;
static struct loop loop;
static struct log_capture capture;
static char folder[32]; /* for Unix sockets */

/* ---- set-up ---- */

static void listen_on(const char *text)
{
    struct error error;
    if (!listeners_open(&acceptor.listeners, text, &error))
        fail_msg("%s", error.text);
}

static void listen_on_path(const char *name)
{
    char text[80];
    snprintf(text, sizeof text, "unix:%s/%s", folder, name);
    listen_on(text);
}

static int set_up(void **state)
{
    (void) state;
    strcpy(folder, "/tmp/acceptor-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    acceptor = (struct acceptor){0};
    loop = (struct loop){0};
    log_capture_init(&capture);
    acceptor_init(&acceptor);
    acceptor.log = capture.log;
    return loop_init(&loop) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void) state;
    acceptor_fini(&acceptor);
    loop_fini(&loop);
    if (capture.log)
        log_capture_read(&capture);
    return rmdir(folder); /* its sockets have gone */
}

/* One listener, watched by the loop. */
static const struct listener *start(void)
{
    listen_on("127.0.0.1:0");
    assert_true(acceptor_start(&acceptor, &loop));
    return &acceptor.listeners.items[0];
}

static int connect_to(const struct listener *listener)
{
    const struct address *address = &listener->address;
    int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address->socket.any, address->size), 0);
    return fd;
}

/* The listener that epoll reports within this time; NULL: none. */
static struct listener *reported_within(int ms)
{
    struct epoll_event event;
    if (epoll_wait(loop.epoll_fd, &event, 1, ms) != 1)
        return NULL;
    assert_int_equal(loop_event_source(&event), LOOP_LISTENER);
    return loop_event_object(&event);
}

/* The same, when there must be one: the kernel may need a moment. */
static struct listener *await_report(void) { return reported_within(-1); }

static struct listener *reported(void) { return reported_within(0); }

/* What the client sends at this end comes out at the other. */
static void assert_connected(int client, int fd)
{
    char byte;
    assert_int_equal(send(client, "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
}

/* ---- the next one ---- */

static void who_waits_is_reported_and_accepted(void **state)
{
    (void) state;
    const struct listener *listener = start();
    struct accepted accepted;
    assert_null(reported());
    assert_false(acceptor_next(&acceptor, listener, &accepted));
    assert_int_equal(acceptor_rests_until(&acceptor), CLOCK_NEVER);

    int client = connect_to(listener);
    struct address own = {.size = sizeof own.socket};
    assert_int_equal(getsockname(client, &own.socket.any, &own.size), 0);
    assert_ptr_equal(await_report(), listener);
    assert_true(acceptor_next(&acceptor, listener, &accepted));
    assert_int_equal(accepted.listener, 0);
    assert_int_equal(address_port(&accepted.address), address_port(&own));
    assert_connected(client, accepted.fd);
    assert_null(reported());
    assert_false(acceptor_next(&acceptor, listener, &accepted));
    close(accepted.fd);
    close(client);
}

static void each_listener_has_its_own(void **state)
{
    (void) state;
    listen_on("127.0.0.1:0");
    listen_on("127.0.0.1:0");
    assert_true(acceptor_start(&acceptor, &loop));
    const struct listener *listeners = acceptor.listeners.items;
    struct accepted accepted;
    int client = connect_to(&listeners[1]);
    assert_ptr_equal(await_report(), &listeners[1]);
    assert_false(acceptor_next(&acceptor, &listeners[0], &accepted));
    assert_true(acceptor_next(&acceptor, &listeners[1], &accepted));
    assert_int_equal(accepted.listener, 1);
    close(accepted.fd);
    close(client);
}

static void who_waits_at_a_unix_socket_is_accepted(void **state)
{
    (void) state;
    listen_on_path("a");
    assert_true(acceptor_start(&acceptor, &loop));
    struct accepted accepted;
    int client = connect_to(&acceptor.listeners.items[0]);
    assert_true(acceptor_next(&acceptor, await_report(), &accepted));
    assert_connected(client, accepted.fd);
    close(accepted.fd);
    close(client);
}

/* ---- rests ---- */

/* Rests, which takes this long; the clock may go on meanwhile. */
static void assert_rest(int64_t rest_ms)
{
    int64_t before_ms = clock_ms();
    errno = ENOMEM;
    acceptor_rest(&acceptor);
    assert_in_range(acceptor_rests_until(&acceptor), before_ms + rest_ms, clock_ms() + rest_ms);
}

static void rests_grow_from_ten_ms_to_a_second(void **state)
{
    (void) state;
    static const int64_t rests_ms[] = {10, 20, 40, 80, 160, 320, 640, 1000, 1000};
    start();
    for (size_t i = 0; i < sizeof rests_ms / sizeof rests_ms[0]; i++)
        assert_rest(rests_ms[i]);
    acceptor_recover(&acceptor);
    assert_rest(10);
    assert_rest(20);
    assert_int_equal(counter_get(&acceptor.rests), sizeof rests_ms / sizeof rests_ms[0] + 2);
}

static void nobody_is_accepted_in_a_rest(void **state)
{
    (void) state;
    const struct listener *listener = start();
    struct accepted accepted;
    int client = connect_to(listener);
    assert_ptr_equal(await_report(), listener);
    assert_rest(10);
    assert_null(reported());
    assert_false(acceptor_next(&acceptor, listener, &accepted));
    acceptor_wake(&acceptor);
    assert_int_equal(acceptor_rests_until(&acceptor), CLOCK_NEVER);
    assert_ptr_equal(await_report(), listener);
    assert_true(acceptor_next(&acceptor, listener, &accepted));
    close(accepted.fd);
    close(client);
}

static void a_rest_begins_when_descriptors_run_out(void **state)
{
    (void) state;
    const struct listener *listener = start();
    struct accepted accepted;
    struct rlimit limit, none;
    int client = connect_to(listener);
    assert_ptr_equal(await_report(), listener);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool found = acceptor_next(&acceptor, listener, &accepted);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_false(found);
    assert_true(acceptor_rests_until(&acceptor) != CLOCK_NEVER);
    acceptor_wake(&acceptor);
    assert_true(acceptor_next(&acceptor, listener, &accepted));
    close(accepted.fd);
    close(client);
    log_capture_read(&capture);
    assert_int_equal(log_capture_count(&capture, strerror(EMFILE)), 1);
}

static void rests_are_logged_once_a_second(void **state)
{
    (void) state;
    start();
    assert_rest(10);
    assert_true(acceptor.logged_ms > 0);
    acceptor.logged_ms = clock_ms() + 100000; /* a moment ago, however long this test takes */
    assert_rest(20);
    acceptor.logged_ms = clock_ms() - 1000;
    assert_rest(40);
    log_capture_read(&capture);
    assert_int_equal(log_capture_count(&capture, "Accept failed, resting"), 2);
    assert_int_equal(log_capture_count(&capture, strerror(ENOMEM)), 2);
}

/* ---- the last ones ---- */

static void the_last_ones_are_given_and_then_the_listeners_are_closed(void **state)
{
    (void) state;
    enum { CLIENTS = 3 };
    listen_on_path("a");
    listen_on_path("b");
    assert_true(acceptor_start(&acceptor, &loop));
    const struct listener *listeners = acceptor.listeners.items;
    struct accepted accepted;
    int clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_to(&listeners[i == 2]);
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(acceptor_last(&acceptor, &accepted));
        assert_int_equal(accepted.listener, i == 2);
        assert_connected(clients[i], accepted.fd);
        close(accepted.fd);
        close(clients[i]);
        /* From the first call on nobody else accepts. */
        assert_null(reported());
        assert_false(acceptor_next(&acceptor, &listeners[1], &accepted));
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(access(listeners[i].address.socket.local.sun_path, F_OK), 0);
    assert_false(acceptor_last(&acceptor, &accepted));
    for (int i = 0; i < 2; i++)
        assert_int_equal(access(listeners[i].address.socket.local.sun_path, F_OK), -1);
    assert_false(acceptor_last(&acceptor, &accepted));
    acceptor_wake(&acceptor); /* a rest that ends now does no harm */
}

/* 0, or why it fails. It does not wait. */
static int try_to_connect(const struct listener *listener)
{
    const struct address *address = &listener->address;
    int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int why = connect(fd, &address->socket.any, address->size) == 0 ? 0 : errno;
    struct pollfd ready = {fd, POLLOUT, 0};
    socklen_t size = sizeof why;
    if (why == EINPROGRESS && poll(&ready, 1, 0) == 1)
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size), 0);
    close(fd);
    return why;
}

static void nobody_comes_behind_the_last_ones(void **state)
{
    (void) state;
    listen_on("127.0.0.1:0");
    listen_on_path("a");
    assert_true(acceptor_start(&acceptor, &loop));
    const struct listener *listeners = acceptor.listeners.items;
    struct accepted accepted;
    int clients[] = {connect_to(&listeners[0]), connect_to(&listeners[1])};
    assert_true(acceptor_last(&acceptor, &accepted));
    close(accepted.fd);
    assert_int_equal(try_to_connect(&listeners[0]), EINPROGRESS);
    assert_int_equal(try_to_connect(&listeners[1]), ECONNREFUSED);
    assert_true(acceptor_last(&acceptor, &accepted));
    close(accepted.fd);
    assert_false(acceptor_last(&acceptor, &accepted));
    assert_int_equal(try_to_connect(&listeners[0]), ECONNREFUSED);
    close(clients[0]);
    close(clients[1]);
}

static void who_waits_at_a_passed_socket_is_left_to_its_owner(void **state)
{
    (void) state;
    struct error error;
    struct address address = {.size = sizeof(struct sockaddr_un)};
    address.socket.local.sun_family = AF_UNIX;
    snprintf(address.socket.local.sun_path, sizeof address.socket.local.sun_path, "%s/a", folder);
    int fd = address_listen(&address, NULL, 1), kept = dup(fd);
    assert_true(fd >= 0 && listeners_take(&acceptor.listeners, fd, &error));
    assert_true(acceptor_start(&acceptor, &loop));
    struct accepted accepted;
    int client = connect_to(&acceptor.listeners.items[0]);
    assert_false(acceptor_last(&acceptor, &accepted));
    int late = connect_to(&acceptor.listeners.items[0]);
    for (int i = 0; i < 2; i++) {
        int found = accept(kept, NULL, NULL);
        assert_true(found >= 0);
        close(found);
    }
    assert_int_equal(unlink(address.socket.local.sun_path), 0);
    close(client);
    close(late);
    close(kept);
}

static void a_rest_does_not_keep_the_last_ones(void **state)
{
    (void) state;
    const struct listener *listener = start();
    struct accepted accepted;
    int client = connect_to(listener);
    assert_ptr_equal(await_report(), listener);
    assert_rest(10);
    assert_true(acceptor_last(&acceptor, &accepted));
    acceptor_wake(&acceptor);
    assert_null(reported());
    close(accepted.fd);
    close(client);
    assert_false(acceptor_last(&acceptor, &accepted));
}

/* ---- admission ---- */

static void clients_have_numbers_up_to_the_bound(void **state)
{
    (void) state;
    struct admission admission = {.max_clients = 2};
    for (uint64_t i = 1; i <= 2; i++) {
        assert_true(admission_enter(&admission));
        assert_int_equal(admission_number(&admission), i);
    }
    assert_false(admission_enter(&admission));
    admission_client_left(&admission);
    assert_true(admission_enter(&admission));
    assert_int_equal(admission_number(&admission), 3);
    assert_int_equal(admission.clients, 2);
    assert_int_equal(admission.accepted, 3);
}

static void so_many_are_refused_in_order_and_no_more(void **state)
{
    (void) state;
    struct admission admission = {.max_clients = 0};
    for (int i = 0; i < ADMISSION_MAX_REFUSED; i++)
        assert_true(admission_refuse(&admission));
    assert_false(admission_refuse(&admission));
    assert_int_equal(admission.refused, ADMISSION_MAX_REFUSED);
    admission_refused_left(&admission);
    assert_true(admission_refuse(&admission));
    assert_int_equal(admission.accepted, 0);
}

#define ACCEPTOR_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCEPTOR_TEST(who_waits_is_reported_and_accepted),
        ACCEPTOR_TEST(each_listener_has_its_own),
        ACCEPTOR_TEST(who_waits_at_a_unix_socket_is_accepted),
        ACCEPTOR_TEST(rests_grow_from_ten_ms_to_a_second),
        ACCEPTOR_TEST(nobody_is_accepted_in_a_rest),
        ACCEPTOR_TEST(a_rest_begins_when_descriptors_run_out),
        ACCEPTOR_TEST(rests_are_logged_once_a_second),
        ACCEPTOR_TEST(the_last_ones_are_given_and_then_the_listeners_are_closed),
        ACCEPTOR_TEST(nobody_comes_behind_the_last_ones),
        ACCEPTOR_TEST(who_waits_at_a_passed_socket_is_left_to_its_owner),
        ACCEPTOR_TEST(a_rest_does_not_keep_the_last_ones),
        cmocka_unit_test(clients_have_numbers_up_to_the_bound),
        cmocka_unit_test(so_many_are_refused_in_order_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
