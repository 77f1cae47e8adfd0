/*
 * Listening and connecting with real sockets, on port 0 and on paths in a folder of the test's own.
 * No test may leave a descriptor open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/address.h"
#include "tests/unit/resolve_one.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BACKLOG 16
#define LONG_MS 60000 /* a limit that only something broken reaches */

/* ---- a folder and sockets to test with ---- */

static bool has_v6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static char folder[] = "/tmp/test_address.XXXXXX";

static int make_folder(void **state)
{
    (void) state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void) status;
    (void) type;
    (void) walk;
    return remove(path);
}

/* With what a failed test has left in it. */
static int remove_folder(void **state)
{
    (void) state;
    return nftw(folder, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
}

static struct address path_address(const char *name)
{
    char text[256];
    snprintf(text, sizeof text, "unix:%s/%s", folder, name);
    return resolve_one(text);
}

static void remove_path(const struct address *address)
{
    assert_int_equal(unlink(address->socket.local.sun_path), 0);
}

static int listen_on(struct address *address)
{
    int fd = address_listen(address, NULL, BACKLOG);
    if (fd < 0)
        fail_msg("address_listen: %s", strerror(errno));
    return fd;
}

static int connect_to(struct address *address)
{
    struct address_list list = {address, 1};
    struct error error = {""};
    int fd = address_connect(&list, LONG_MS, NULL, &error);
    if (fd < 0)
        fail_msg("address_connect: %s", error.text);
    return fd;
}

/* A port on which nobody listens, reserved as long as `*holder` is open. */
static struct address refusing_address(const char *text, int *holder)
{
    struct address address = resolve_one(text);
    *holder = socket(address.socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*holder, &address.socket.any, address.size), 0);
    assert_int_equal(getsockname(*holder, &address.socket.any, &address.size), 0);
    return address;
}

/* A listener that takes no more connections: to TCP it is mute, a Unix connect waits. `fillers` are
 * the connections that its backlog holds. */
#define FILLERS 4
static int mute_listener(struct address *address, int *fillers)
{
    int listener = address_listen(address, NULL, 0);
    assert_true(listener >= 0);
    for (int i = 0; i < FILLERS; i++) {
        fillers[i] =
            socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void) connect(fillers[i], &address->socket.any, address->size);
    }
    return listener;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
    return value;
}

static void assert_plain_descriptor(int fd)
{
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int accept_one(int listener)
{
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, LONG_MS), 1);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* ---- listening ---- */

static void check_tcp_pair(const char *text)
{
    struct address address = resolve_one(text);
    int listener = listen_on(&address);
    assert_int_not_equal(address_port(&address), 0);
    assert_plain_descriptor(listener);
    assert_int_equal(option_of(listener, SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(option_of(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);

    struct address taken = address;
    errno = 0;
    assert_int_equal(address_listen(&taken, NULL, BACKLOG), -1);
    assert_int_equal(errno, EADDRINUSE);

    int client = connect_to(&address);
    assert_plain_descriptor(client);
    int served = accept_one(listener);
    const int both[] = {client, served};
    for (size_t i = 0; i < COUNT(both); i++) {
        assert_int_equal(option_of(both[i], IPPROTO_TCP, TCP_NODELAY), 1);
        assert_int_equal(option_of(both[i], SOL_SOCKET, SO_KEEPALIVE), 1);
    }
    close_all(both, COUNT(both));
    close(listener);
}

static void test_listens_on_tcp(void **state)
{
    (void) state;
    check_tcp_pair("127.0.0.1:0");
    if (has_v6())
        check_tcp_pair("[::1]:0");
}

/* IPv6 must leave IPv4 alone: both have a listener of their own, with one port. */
static void test_listens_on_every_address_with_one_port(void **state)
{
    (void) state;
    if (!has_v6())
        skip();
    /* Somebody else may have the free port of one family in the other. */
    for (int attempt = 0; attempt < 50; attempt++) {
        struct address_list list;
        struct error error;
        assert_int_equal(address_resolve(":0", ADDRESS_TO_LISTEN, &list, &error), ADDRESS_OK);
        assert_int_equal(list.count, 2);
        int first = listen_on(&list.items[0]);
        address_set_port(&list.items[1], address_port(&list.items[0]));
        int second = address_listen(&list.items[1], NULL, BACKLOG);
        bool ok = second >= 0;
        if (ok) {
            assert_int_equal(option_of(second, IPPROTO_IPV6, IPV6_V6ONLY), 1);
            assert_int_equal(address_port(&list.items[1]), address_port(&list.items[0]));
            close(second);
        }
        close(first);
        address_list_fini(&list);
        if (ok)
            return;
    }
    fail_msg("no port was free in both families");
}

static void test_refuses_an_address_of_another_machine(void **state)
{
    (void) state;
    struct address address = resolve_one("192.0.2.1:0");
    errno = 0;
    assert_int_equal(address_listen(&address, NULL, BACKLOG), -1);
    assert_int_equal(errno, EADDRNOTAVAIL);
}

static void test_listens_on_a_path(void **state)
{
    (void) state;
    char text[ADDRESS_TEXT_SIZE];
    char bound[ADDRESS_TEXT_SIZE];
    struct address address = path_address("socket");
    address_print(&address, text);
    int listener = listen_on(&address);
    address_print(&address, bound);
    assert_string_equal(bound, text);
    assert_plain_descriptor(listener);

    int client = connect_to(&address);
    assert_plain_descriptor(client);
    struct timeval limit = {7, 7};
    socklen_t size = sizeof limit;
    assert_int_equal(getsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, &size), 0);
    assert_int_equal(limit.tv_sec + limit.tv_usec, 0);
    int served = accept_one(listener);
    assert_int_equal(write(client, "x", 1), 1);
    char byte;
    assert_int_equal(read(served, &byte, 1), 1);

    close(client);
    close(served);
    close(listener);
    remove_path(&address);
}

static void test_listens_on_a_path_of_full_length(void **state)
{
    (void) state;
    char name[200];
    memset(name, 'n', sizeof name);
    name[107 - strlen(folder) - 1] = '\0';
    struct address address = path_address(name);
    assert_int_equal(strlen(address.socket.local.sun_path), 107);
    int listener = listen_on(&address);
    close(connect_to(&address));
    close(listener);
    remove_path(&address);
}

static void test_takes_over_a_dead_path(void **state)
{
    (void) state;
    struct address address = path_address("dead");
    close(listen_on(&address));
    int listener = listen_on(&address);
    close(connect_to(&address));
    close(listener);
    remove_path(&address);
}

/* Listens on the address in vain, and finds the file as it was. */
static void check_left_alone(struct address *address)
{
    struct stat before, after;
    assert_int_equal(lstat(address->socket.local.sun_path, &before), 0);
    errno = 0;
    assert_int_equal(address_listen(address, NULL, BACKLOG), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(lstat(address->socket.local.sun_path, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mode, before.st_mode);
}

static void test_leaves_a_live_path_alone(void **state)
{
    (void) state;
    struct address address = path_address("live");
    int listener = listen_on(&address);
    check_left_alone(&address);
    close(connect_to(&address));
    close(listener);
    remove_path(&address);
}

static void test_leaves_a_path_with_a_full_backlog_alone(void **state)
{
    (void) state;
    int fillers[FILLERS];
    struct address address = path_address("full");
    int listener = mute_listener(&address, fillers);
    check_left_alone(&address);
    close_all(fillers, FILLERS);
    close(listener);
    remove_path(&address);
}

static void test_leaves_what_is_no_stream_socket_alone(void **state)
{
    (void) state;
    struct address address = path_address("other");
    const char *path = address.socket.local.sun_path;

    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    check_left_alone(&address);
    close(file);
    remove_path(&address);

    assert_int_equal(mkfifo(path, 0600), 0);
    check_left_alone(&address);
    remove_path(&address);

    struct address dead = path_address("dead");
    close(listen_on(&dead));
    assert_int_equal(symlink("dead", path), 0);
    check_left_alone(&address);
    remove_path(&address);
    remove_path(&dead);

    int datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(datagrams, &address.socket.any, address.size), 0);
    check_left_alone(&address);
    close(datagrams);
    remove_path(&address);

    assert_int_equal(mkdir(path, 0700), 0);
    check_left_alone(&address);
    assert_int_equal(rmdir(path), 0);
}

static void test_tells_that_a_folder_is_missing(void **state)
{
    (void) state;
    struct address address = path_address("nosuch/socket");
    errno = 0;
    assert_int_equal(address_listen(&address, NULL, BACKLOG), -1);
    assert_int_equal(errno, ENOENT);
}

static void test_listens_in_the_present_folder(void **state)
{
    (void) state;
    int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chdir(folder), 0);
    struct address address = resolve_one("unix:bare");
    close(listen_on(&address));
    int listener = listen_on(&address);
    close(listener);
    remove_path(&address);
    assert_int_equal(fchdir(back), 0);
    close(back);
}

/* Whoever may read the folder can keep its lock: that stops nobody, and takes nothing from a server
 * that listens. */
static void test_takes_a_dead_path_over_beside_a_lock_that_is_kept(void **state)
{
    (void) state;
    static const int kinds[] = {LOCK_EX, LOCK_SH};
    struct address dead = path_address("dead");
    struct address used = path_address("used");
    int user = listen_on(&used);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        close(listen_on(&dead));
        int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(flock(lock, kinds[i]), 0);
        close(listen_on(&dead));
        check_left_alone(&used);
        close(lock);
        remove_path(&dead);
    }
    close(user);
    remove_path(&used);
}

static void test_an_abstract_name_is_no_file(void **state)
{
    (void) state;
    char text[64], printed[ADDRESS_TEXT_SIZE];
    struct error error;
    snprintf(text, sizeof text, "unix:@banter-test-%d", (int) getpid());
    struct address address = resolve_one(text);
    struct address_list list = {&address, 1};
    int listener = listen_on(&address);
    address_print(&address, printed);
    assert_string_equal(printed, text);
    assert_int_equal(access(strchr(text, '@'), F_OK), -1);
    int client = address_connect(&list, 1000, NULL, &error);
    assert_true(client >= 0);
    close(client);
    errno = 0;
    assert_int_equal(address_listen(&address, NULL, BACKLOG), -1);
    assert_int_equal(errno, EADDRINUSE);
    close(listener);
    close(listen_on(&address));
}

/* Tells by its exit status: 0 it listens, 1 the address was in use, 2 something else. It starts
 * when `start` is closed by the parent and listens until `hold` is. */
static void contend(struct address address, int start, int hold, int result)
{
    char byte;
    (void) !read(start, &byte, 1);
    int listener = address_listen(&address, NULL, BACKLOG);
    char outcome = listener >= 0 ? 'l' : errno == EADDRINUSE ? 'u' : '?';
    (void) !write(result, &outcome, 1);
    (void) !read(hold, &byte, 1);
    _exit(0);
}

/* However many start at once beside a dead path, one gets it, and that one can be reached. */
static void test_one_of_many_takes_a_dead_path_over(void **state)
{
    (void) state;
    enum { ROUNDS = 40, CONTENDERS = 6 };
    for (int round = 0; round < ROUNDS; round++) {
        struct address address = path_address("contended");
        int start[2], hold[2], result[2];
        close(listen_on(&address));
        assert_int_equal(pipe(start), 0);
        assert_int_equal(pipe(hold), 0);
        assert_int_equal(pipe(result), 0);
        pid_t children[CONTENDERS];
        for (int i = 0; i < CONTENDERS; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (children[i] == 0) {
                close(start[1]);
                close(hold[1]);
                contend(address, start[0], hold[0], result[1]);
            }
        }
        close(start[1]);
        int listening = 0, in_use = 0;
        for (int i = 0; i < CONTENDERS; i++) {
            char outcome = 0;
            assert_int_equal(read(result[0], &outcome, 1), 1);
            listening += outcome == 'l';
            in_use += outcome == 'u';
        }
        int client = connect_to(&address);
        close(client);
        close(hold[1]);
        for (int i = 0; i < CONTENDERS; i++)
            assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
        const int rest[] = {start[0], hold[0], result[0], result[1]};
        close_all(rest, COUNT(rest));
        remove_path(&address);
        assert_int_equal(listening, 1);
        assert_int_equal(in_use, CONTENDERS - 1);
    }
}

/* ---- connecting ---- */

static void test_tells_each_address_that_fails(void **state)
{
    (void) state;
    int holders[2];
    struct address items[2] = {refusing_address("127.0.0.1:0", &holders[0]),
                               refusing_address("127.0.0.2:0", &holders[1])};
    struct address_list list = {items, COUNT(items)};
    struct error error = {"old text"};
    char expected[sizeof error.text];
    snprintf(expected, sizeof expected,
             "127.0.0.1:%u: Connection refused; 127.0.0.2:%u: Connection refused",
             address_port(&items[0]), address_port(&items[1]));
    const int limits_ms[] = {LONG_MS, -1};
    for (size_t i = 0; i < COUNT(limits_ms); i++) {
        assert_int_equal(address_connect(&list, limits_ms[i], NULL, &error), -1);
        assert_string_equal(error.text, expected);
    }
    close_all(holders, COUNT(holders));
}

static void test_tells_a_dead_path(void **state)
{
    (void) state;
    struct address address = path_address("dead");
    struct address_list list = {&address, 1};
    struct error error = {"old text"};
    char expected[sizeof error.text];
    snprintf(expected, sizeof expected, "unix:%s/dead: No such file or directory", folder);
    assert_int_equal(address_connect(&list, -1, NULL, &error), -1);
    assert_string_equal(error.text, expected);

    close(listen_on(&address));
    snprintf(expected, sizeof expected, "unix:%s/dead: Connection refused", folder);
    assert_int_equal(address_connect(&list, LONG_MS, NULL, &error), -1);
    assert_string_equal(error.text, expected);
    remove_path(&address);
}

static void test_goes_on_to_the_next_address(void **state)
{
    (void) state;
    int holder;
    struct address good = resolve_one("127.0.0.1:0");
    int listener = listen_on(&good);
    struct address items[] = {refusing_address("127.0.0.1:0", &holder), good, good};
    struct address_list list = {items, COUNT(items)};
    const int limits_ms[] = {LONG_MS, -1};
    for (size_t i = 0; i < COUNT(limits_ms); i++) {
        struct error error;
        size_t connected = 7;
        int fd = address_connect(&list, limits_ms[i], &connected, &error);
        assert_true(fd >= 0);
        assert_int_equal(connected, 1);
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        assert_int_equal(getpeername(fd, (struct sockaddr *) &peer, &size), 0);
        assert_int_equal(ntohs(peer.sin_port), address_port(&good));
        close(fd);
    }
    close(holder);
    close(listener);
}

/* A mute address, and one that answers if both get their share of a short time, or as soon as the
 * first has been mute for some while. */
static void test_a_mute_address_leaves_time_for_the_next(void **state)
{
    (void) state;
    int fillers[FILLERS];
    struct address mute = resolve_one("127.0.0.1:0");
    int mute_fd = mute_listener(&mute, fillers);
    struct address good = resolve_one("127.0.0.1:0");
    int listener = listen_on(&good);
    struct address items[] = {mute, good};
    struct address_list list = {items, COUNT(items)};
    static const struct {
        int limit_ms;
        int least_ms; /* before which the second must not be tried */
        int most_ms;  /* of the quickest attempt: a busy machine may take long for no fault of ours
                       */
    } cases[] = {
        {100, 49, 100}, {400, 199, 400}, {LONG_MS, 249, LONG_MS / 4}, {-1, 249, LONG_MS / 4}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t shortest_ms = INT64_MAX;
        for (int attempt = 0; attempt < 20 && shortest_ms >= cases[i].most_ms; attempt++) {
            struct error error;
            size_t connected = 7;
            int64_t begin_ms = now_ms();
            int fd = address_connect(&list, cases[i].limit_ms, &connected, &error);
            int64_t took_ms = now_ms() - begin_ms;
            if (fd < 0) { /* the machine was that busy, or each attempt fails */
                print_message("%s\n", error.text);
                continue;
            }
            assert_int_equal(connected, 1);
            assert_plain_descriptor(fd);
            assert_true(took_ms >= cases[i].least_ms);
            shortest_ms = took_ms < shortest_ms ? took_ms : shortest_ms;
            close(fd);
        }
        assert_true(shortest_ms < cases[i].most_ms);
    }
    close(listener);
    close_all(fillers, FILLERS);
    close(mute_fd);
}

/* None of many that refuse holds up the next. */
static void test_a_refusal_costs_no_time(void **state)
{
    (void) state;
    enum { REFUSING = 16 };
    int holder;
    struct address items[REFUSING + 1];
    struct address_list list = {items, COUNT(items)};
    struct address good = resolve_one("127.0.0.1:0");
    struct address bad = refusing_address("127.0.0.1:0", &holder);
    int listener = listen_on(&good);
    for (size_t i = 0; i < REFUSING; i++)
        items[i] = bad;
    items[REFUSING] = good;
    int64_t shortest_ms = INT64_MAX;
    for (int attempt = 0; attempt < 20 && shortest_ms >= 1000; attempt++) {
        struct error error;
        size_t connected = 7;
        int64_t begin_ms = now_ms();
        int fd = address_connect(&list, -1, &connected, &error);
        int64_t took_ms = now_ms() - begin_ms;
        assert_true(fd >= 0);
        assert_int_equal(connected, REFUSING);
        shortest_ms = took_ms < shortest_ms ? took_ms : shortest_ms;
        close(fd);
    }
    assert_true(shortest_ms < 1000);
    close(holder);
    close(listener);
}

/* Makes room in a backlog, after some time, until `stop` is readable. */
struct late {
    int listener;
    int stop;
};

static void *answer_late(void *context)
{
    const struct late *late = context;
    struct pollfd fds[] = {{late->stop, POLLIN, 0}, {late->listener, POLLIN, 0}};
    poll(fds, 1, 100);
    while (poll(fds, COUNT(fds), LONG_MS) > 0 && fds[0].revents == 0) {
        int fd = accept4(late->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
    }
    return NULL;
}

/* It is not given up when the next one is tried and fails. */
static void test_an_address_that_answers_late_is_taken(void **state)
{
    (void) state;
    int fillers[FILLERS], holder, stop[2];
    struct address mute = resolve_one("127.0.0.1:0");
    int listener = mute_listener(&mute, fillers);
    struct address items[] = {mute, refusing_address("127.0.0.1:0", &holder)};
    struct address_list list = {items, COUNT(items)};
    struct error error;
    size_t connected = 7;
    pthread_t thread;
    assert_int_equal(pipe(stop), 0);
    struct late late = {listener, stop[0]};
    assert_int_equal(pthread_create(&thread, NULL, answer_late, &late), 0);
    int fd = address_connect(&list, LONG_MS, &connected, &error);
    assert_int_equal(write(stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(fd >= 0);
    assert_int_equal(connected, 0);
    const int rest[] = {fd, holder, listener, stop[0], stop[1]};
    close_all(rest, COUNT(rest));
    close_all(fillers, FILLERS);
}

/* Each of them is named, also if the time is too short to try one after the other. */
static void test_tells_each_mute_address(void **state)
{
    (void) state;
    int fillers[2][FILLERS];
    struct address items[] = {resolve_one("127.0.0.1:0"), resolve_one("127.0.0.2:0")};
    struct address_list list = {items, COUNT(items)};
    int listeners[] = {mute_listener(&items[0], fillers[0]), mute_listener(&items[1], fillers[1])};
    struct error error;
    char expected[sizeof error.text];
    snprintf(expected, sizeof expected,
             "127.0.0.1:%u: Connection timed out; 127.0.0.2:%u: Connection timed out",
             address_port(&items[0]), address_port(&items[1]));
    const int limits_ms[] = {0, 1, 50, 600};
    for (size_t i = 0; i < COUNT(limits_ms); i++) {
        int64_t begin_ms = now_ms();
        assert_int_equal(address_connect(&list, limits_ms[i], NULL, &error), -1);
        assert_string_equal(error.text, expected);
        assert_true(now_ms() - begin_ms >= limits_ms[i] - 1);
    }
    for (size_t i = 0; i < COUNT(items); i++)
        close_all(fillers[i], FILLERS);
    close_all(listeners, COUNT(listeners));
}

static volatile sig_atomic_t alarms;

static void count_alarm(int signal)
{
    (void) signal;
    alarms++;
}

/* Interrupted each millisecond or not at all, it ends at its deadline: not before, and not
 * never. */
static void check_ends_at_its_deadline(struct address *mute)
{
    int fillers[FILLERS];
    int listener = mute_listener(mute, fillers);
    struct address_list list = {mute, 1};
    struct error error;
    char name[ADDRESS_TEXT_SIZE];
    char expected[sizeof error.text];
    address_print(mute, name);
    snprintf(expected, sizeof expected, "%s: Connection timed out", name);

    struct sigaction counting = {.sa_handler = count_alarm}; /* without SA_RESTART */
    struct sigaction before;
    sigaction(SIGALRM, &counting, &before);
    struct itimerval each_ms = {{0, 1000}, {0, 1000}};
    struct itimerval never = {{0, 0}, {0, 0}};
    const int limits_ms[] = {0, 1, 100};
    for (size_t i = 0; i < COUNT(limits_ms); i++) {
        alarms = 0;
        int64_t begin_ms = now_ms();
        if (limits_ms[i] == 100)
            setitimer(ITIMER_REAL, &each_ms, NULL);
        int fd = address_connect(&list, limits_ms[i], NULL, &error);
        setitimer(ITIMER_REAL, &never, NULL);
        assert_int_equal(fd, -1);
        assert_string_equal(error.text, expected);
        assert_true(now_ms() - begin_ms >= limits_ms[i] - 1);
        assert_true(alarms > 0 || limits_ms[i] < 100);
    }
    sigaction(SIGALRM, &before, NULL);
    close_all(fillers, FILLERS);
    close(listener);
}

static void test_ends_at_its_deadline(void **state)
{
    (void) state;
    struct address tcp = resolve_one("127.0.0.1:0");
    check_ends_at_its_deadline(&tcp);
    struct address local = path_address("mute");
    check_ends_at_its_deadline(&local);
    remove_path(&local);
}

static void *connect_in_thread(void *address) { return (void *) (intptr_t) connect_to(address); }

/* Whether the process has a thread that sleeps in the kernel's wait for room in a Unix backlog
 * can't be seen from here; many rounds meet both orders, room before the connect and after it. */
static void test_waits_for_room_in_a_backlog(void **state)
{
    (void) state;
    for (int round = 0; round < 50; round++) {
        int fillers[FILLERS];
        struct address address = path_address("full");
        int listener = mute_listener(&address, fillers);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, connect_in_thread, &address), 0);
        close(accept_one(listener));
        void *fd;
        assert_int_equal(pthread_join(thread, &fd), 0);
        assert_plain_descriptor((int) (intptr_t) fd);
        close((int) (intptr_t) fd);
        close_all(fillers, FILLERS);
        close(listener);
        remove_path(&address);
    }
}

/* A port from the range that the kernel gives to outgoing connections, and free now. */
static struct address outgoing_port(void)
{
    struct address address = resolve_one("127.0.0.1:0");
    int listener = listen_on(&address);
    int client = connect_to(&address);
    assert_int_equal(getsockname(client, &address.socket.any, &address.size), 0);
    /* A reset, since a port in TIME_WAIT is not given out again. */
    struct linger reset = {.l_onoff = 1};
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(client);
    close(listener);
    return address;
}

static bool is_connected_to_itself(int fd)
{
    struct sockaddr_in here, there;
    socklen_t size = sizeof here;
    return getsockname(fd, (struct sockaddr *) &here, &size) == 0 &&
           getpeername(fd, (struct sockaddr *) &there, &size) == 0 &&
           here.sin_port == there.sin_port;
}

/* Somebody who keeps trying until a server is up must not meet himself. */
static void test_does_not_connect_to_itself(void **state)
{
    (void) state;
    struct address address = outgoing_port();
    struct address_list list = {&address, 1};
    for (int i = 0; i < 30000; i++) {
        struct error error;
        int fd = address_connect(&list, LONG_MS, NULL, &error);
        if (fd >= 0) {
            /* Another program may have got the port meanwhile. */
            assert_false(is_connected_to_itself(fd));
            close(fd);
        } else {
            assert_non_null(strstr(error.text, ": Connection refused"));
        }
    }
}

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int descriptors_before;

static int note_descriptors(void **state)
{
    (void) state;
    descriptors_before = count_descriptors();
    return 0;
}

static int compare_descriptors(void **state)
{
    (void) state;
    if (count_descriptors() == descriptors_before)
        return 0;
    print_error("descriptors were left open\n");
    return -1;
}

#define SOCKET_TEST(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, note_descriptors, compare_descriptors)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SOCKET_TEST(test_listens_on_tcp),
        SOCKET_TEST(test_listens_on_every_address_with_one_port),
        SOCKET_TEST(test_refuses_an_address_of_another_machine),
        SOCKET_TEST(test_listens_on_a_path),
        SOCKET_TEST(test_listens_on_a_path_of_full_length),
        SOCKET_TEST(test_takes_over_a_dead_path),
        SOCKET_TEST(test_leaves_a_live_path_alone),
        SOCKET_TEST(test_leaves_a_path_with_a_full_backlog_alone),
        SOCKET_TEST(test_leaves_what_is_no_stream_socket_alone),
        SOCKET_TEST(test_tells_that_a_folder_is_missing),
        SOCKET_TEST(test_listens_in_the_present_folder),
        SOCKET_TEST(test_takes_a_dead_path_over_beside_a_lock_that_is_kept),
        SOCKET_TEST(test_an_abstract_name_is_no_file),
        SOCKET_TEST(test_one_of_many_takes_a_dead_path_over),
        SOCKET_TEST(test_tells_each_address_that_fails),
        SOCKET_TEST(test_tells_a_dead_path),
        SOCKET_TEST(test_goes_on_to_the_next_address),
        SOCKET_TEST(test_a_mute_address_leaves_time_for_the_next),
        SOCKET_TEST(test_a_refusal_costs_no_time),
        SOCKET_TEST(test_an_address_that_answers_late_is_taken),
        SOCKET_TEST(test_tells_each_mute_address),
        SOCKET_TEST(test_ends_at_its_deadline),
        SOCKET_TEST(test_waits_for_room_in_a_backlog),
        SOCKET_TEST(test_does_not_connect_to_itself),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
