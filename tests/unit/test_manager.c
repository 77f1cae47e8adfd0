/* manager: what it is told in each phase, and in which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/admin/admin.h"
#include "server/admin/manager.h"
#include "server/reload.h"

static struct fixture {
    struct admin *admin;
    struct manager *manager;
    int fd; /* the manager's socket */
    int stop_fd;
} fixture;

static int bind_anywhere(char *name, size_t size)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    socklen_t length = sizeof local;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &local, sizeof local.sun_family), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &local, &length), 0);
    snprintf(name, size, "@%.*s", (int) (length - offsetof(struct sockaddr_un, sun_path) - 1),
             local.sun_path + 1);
    return fd;
}

static int set_up(void **state)
{
    char name[sizeof(((struct sockaddr_un *) 0)->sun_path)];
    (void) state;
    fixture.fd = bind_anywhere(name, sizeof name);
    fixture.stop_fd = eventfd(0, EFD_CLOEXEC);
    fixture.admin = admin_open();
    setenv("NOTIFY_SOCKET", name, 1);
    struct manager_terms terms = manager_read_terms();
    fixture.manager = manager_open(fixture.admin, &terms, fixture.stop_fd);
    return fixture.manager ? 0 : -1;
}

static int tear_down(void **state)
{
    (void) state;
    manager_close(fixture.manager);
    admin_close(fixture.admin);
    close(fixture.fd);
    close(fixture.stop_fd);
    return 0;
}

static void expect(const char *wanted)
{
    char text[1024];
    ssize_t size = recv(fixture.fd, text, sizeof text - 1, 0);
    assert_true(size >= 0);
    text[size] = '\0';
    assert_string_equal(text, wanted);
}

static void expect_start(void)
{
    expect("EXTEND_TIMEOUT_USEC=15000000");
    expect("STATUS=Starting");
}

static void expect_nothing(void)
{
    char text[1024];
    assert_int_equal(recv(fixture.fd, text, sizeof text, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static void begin_reload(struct admin *admin, void *context)
{
    (void) admin, (void) context;
    manager_reloading(fixture.manager);
}

static void end_reload(struct admin *admin, void *context)
{
    (void) admin;
    manager_reloaded(fixture.manager, context);
}

static void reload(const char *file, const char *why)
{
    struct reload_outcome outcome = {.done = !why, .file = file};
    if (why)
        error_set(&outcome.why, "%s", why);
    admin_call(fixture.admin, begin_reload, NULL);
    admin_call(fixture.admin, end_reload, &outcome);
}

static void expect_reload(const char *ready)
{
    static const char begin[] = "RELOADING=1\nMONOTONIC_USEC=";
    char text[1024];
    ssize_t size = recv(fixture.fd, text, sizeof text - 1, 0);
    assert_true(size >= (ssize_t) sizeof begin);
    text[size] = '\0';
    assert_memory_equal(text, begin, sizeof begin - 1);
    assert_int_equal(strspn(text + sizeof begin - 1, "0123456789"),
                     strlen(text) - sizeof begin + 1);
    expect(ready);
}

#define SERVES "READY=1\nSTATUS=Clients: 0, requests so far: 0"

static void a_reload_is_ready_again_whatever_came_of_it(void **state)
{
    (void) state;
    static const struct {
        const char *file, *why, *ready;
    } table[] = {
        {"list", NULL, SERVES},
        {"list", "line 3: this is no address",
         SERVES "; reload failed: list: line 3: this is no address"},
        {"list\nREADY=1", "x", SERVES "; reload failed: list\\x0aREADY=1: x"},
        {"list", NULL, SERVES},
    };
    expect_start();
    manager_ready(fixture.manager);
    expect(SERVES);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        reload(table[i].file, table[i].why);
        expect_reload(table[i].ready);
    }
}

static void what_is_read_during_the_start_does_not_make_it_ready(void **state)
{
    (void) state;
    expect_start();
    reload("list", "it is bad");
    expect_nothing();
    manager_ready(fixture.manager);
    expect(SERVES "; reload failed: list: it is bad");
}

static void expect_stop(void)
{
    expect("STOPPING=1\nSTATUS=Stopping, clients left: 0");
    expect("EXTEND_TIMEOUT_USEC=15000000");
}

static void a_stop_is_the_last_word(void **state)
{
    (void) state;
    struct reload_outcome outcome = {.done = true};
    expect_start();
    manager_ready(fixture.manager);
    expect(SERVES);
    admin_call(fixture.admin, begin_reload, NULL);
    assert_true(recv(fixture.fd, &(char){0}, 1, 0) > 0);
    eventfd_write(fixture.stop_fd, 1);
    expect_stop();
    admin_call(fixture.admin, end_reload, &outcome);
    reload("list", NULL);
    manager_ready(fixture.manager);
    expect_nothing();
}

static void an_end_without_a_signal_is_a_stop(void **state)
{
    (void) state;
    expect_start();
    manager_ready(fixture.manager);
    expect(SERVES);
    manager_close(fixture.manager);
    fixture.manager = NULL;
    expect_stop();
}

static void a_start_that_fails_says_nothing_more(void **state)
{
    (void) state;
    expect_start();
    manager_close(fixture.manager);
    fixture.manager = NULL;
    expect_nothing();
}

static void without_a_manager_nothing_is_said(void **state)
{
    (void) state;
    struct manager_terms terms = manager_read_terms(); /* set_up() has read them */
    assert_int_equal(terms.notify.fd, -1);
    assert_null(manager_open(fixture.admin, &terms, fixture.stop_fd));
    manager_watch(NULL, NULL);
    manager_ready(NULL);
    manager_reloading(NULL);
    manager_reloaded(NULL, NULL);
    manager_close(NULL);
}

#define MANAGER_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MANAGER_TEST(a_reload_is_ready_again_whatever_came_of_it),
        MANAGER_TEST(what_is_read_during_the_start_does_not_make_it_ready),
        MANAGER_TEST(a_stop_is_the_last_word),
        MANAGER_TEST(an_end_without_a_signal_is_a_stop),
        MANAGER_TEST(a_start_that_fails_says_nothing_more),
        MANAGER_TEST(without_a_manager_nothing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
