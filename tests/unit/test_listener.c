/* listener: what is listened on, and that nothing of it is left. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/net/listener.h"

static char folder[40];
static char path[60], text[70]; /* a Unix socket's, and its address */

static int set_up(void **state)
{
    (void) state;
    strcpy(folder, "/tmp/listener-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(text, sizeof text, "unix:%s", path);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    unlink(path);
    return rmdir(folder);
}

static bool connects(const struct address *address)
{
    int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    bool connected = connect(fd, &address->socket.any, address->size) == 0;
    close(fd);
    return connected;
}

static void a_free_port_is_known_after_the_bind(void **state)
{
    (void) state;
    struct listeners listeners = {0};
    struct error error;
    assert_true(listeners_open(&listeners, "127.0.0.1:0", &error));
    assert_int_equal(listeners.count, 1);
    assert_int_not_equal(address_port(&listeners.items[0].address), 0);
    assert_true(connects(&listeners.items[0].address));
    struct address address = listeners.items[0].address;
    listeners_close(&listeners);
    assert_int_equal(listeners.items[0].fd, -1);
    assert_int_equal(address_port(&listeners.items[0].address), address_port(&address));
}

static void the_kernel_keeps_little_of_what_a_client_does_not_read(void **state)
{
    (void) state;
    struct listeners listeners = {0};
    struct error error;
    assert_true(listeners_open(&listeners, "127.0.0.1:0", &error));
    const struct address *address = &listeners.items[0].address;
    int client = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, &address->socket.any, address->size), 0);
    int fd = accept4(listeners.items[0].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    static char block[1 << 16];
    size_t taken = 0;
    for (ssize_t sent; (sent = send(fd, block, sizeof block, MSG_NOSIGNAL)) > 0;)
        taken += (size_t) sent;
    int window = 0, unsent = 0;
    socklen_t length = sizeof window;
    assert_int_equal(getsockopt(client, SOL_SOCKET, SO_RCVBUF, &window, &length), 0);
    length = sizeof unsent;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, &length), 0);
    assert_int_equal(unsent, 128 << 10);
    assert_true(taken <= (size_t) window + (size_t) unsent + sizeof block);
    close(fd);
    close(client);
    listeners_close(&listeners);
}

static void all_addresses_of_a_text_have_one_port(void **state)
{
    (void) state;
    struct listeners listeners = {0};
    struct error error;
    assert_true(listeners_open(&listeners, ":0", &error));
    assert_true(listeners.count >= 1);
    for (unsigned i = 1; i < listeners.count; i++)
        assert_int_equal(address_port(&listeners.items[i].address),
                         address_port(&listeners.items[0].address));
    listeners_close(&listeners);
}

static void a_port_in_use_is_an_error_that_names_it_and_leaves_nothing(void **state)
{
    (void) state;
    struct listeners first = {0}, second = {0};
    struct error error;
    char used[ADDRESS_TEXT_SIZE];
    assert_true(listeners_open(&first, "127.0.0.1:0", &error));
    address_print(&first.items[0].address, used);
    assert_false(listeners_open(&second, used, &error));
    assert_int_equal(second.count, 0);
    assert_non_null(strstr(error.text, used));
    assert_non_null(strstr(error.text, strerror(EADDRINUSE)));
    listeners_close(&first);
}

static void a_unix_path_is_removed_at_the_end(void **state)
{
    (void) state;
    struct listeners listeners = {0};
    struct error error;
    struct stat status;
    assert_true(listeners_open(&listeners, text, &error));
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    listeners_close(&listeners);
    assert_int_equal(stat(path, &status), -1);
}

static void what_has_taken_the_place_of_the_path_is_left_alone(void **state)
{
    (void) state;
    struct listeners listeners = {0};
    struct error error;
    struct stat status;
    assert_true(listeners_open(&listeners, text, &error));
    assert_int_equal(unlink(path), 0);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    listeners_close(&listeners);
    assert_int_equal(stat(path, &status), 0);
}

static void a_bound_socket_is_taken_over(void **state)
{
    (void) state;
    struct listeners listeners = {0};
    struct error error;
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &local, sizeof local), 0);
    assert_true(listeners_take(&listeners, fd, &error));
    assert_true(connects(&listeners.items[0].address));
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    listeners_close(&listeners);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void what_is_no_socket_stays_the_callers(void **state)
{
    (void) state;
    struct listeners listeners = {0};
    struct error error;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_false(listeners_take(&listeners, fd, &error));
    assert_int_equal(listeners.count, 0);
    assert_int_not_equal(fcntl(fd, F_GETFD), -1);
    close(fd);
}

static void there_is_a_limit(void **state)
{
    (void) state;
    struct listeners listeners = {0};
    struct error error;
    for (int i = 0; i < LISTENERS_MAX; i++)
        assert_true(listeners_open(&listeners, "127.0.0.1:0", &error));
    assert_false(listeners_open(&listeners, "127.0.0.1:0", &error));
    assert_int_equal(listeners.count, LISTENERS_MAX);
    listeners_close(&listeners);
}

#define PATH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_port_is_known_after_the_bind),
        cmocka_unit_test(the_kernel_keeps_little_of_what_a_client_does_not_read),
        cmocka_unit_test(all_addresses_of_a_text_have_one_port),
        cmocka_unit_test(a_port_in_use_is_an_error_that_names_it_and_leaves_nothing),
        PATH_TEST(a_unix_path_is_removed_at_the_end),
        PATH_TEST(what_has_taken_the_place_of_the_path_is_left_alone),
        cmocka_unit_test(a_bound_socket_is_taken_over),
        cmocka_unit_test(what_is_no_socket_stays_the_callers),
        cmocka_unit_test(there_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
