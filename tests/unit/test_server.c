/*
 * test_server: the server as an object, as a program would embed it: bound here or there, run in a
 * thread of the caller's, stopped from any thread or from a signal handler, several at once; and
 * that nothing of it is left.
 */
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/handlers/kinds.h"
#include "server/log/log.h"
#include "server/server.h"

static const char *const any_port[] = {"127.0.0.1:0"};

struct embedded {
    struct server *server;
    pthread_t thread;
    int left;
};

/* A handler stays where it is while its server has it. */
static struct handler handlers[8];
static unsigned handler_count;

static bool open_handler(struct handler *handler, const struct handler_kind *kind)
{
    struct error error;
    return handler_open(handler, &(struct handler_spec){.kind = kind},
                        &(struct handler_host){.cores = 1}, &error);
}

static struct server *open_server(const struct server_config *change)
{
    struct handler *handler = &handlers[handler_count++ % 8];
    struct error error;
    struct server_config config = change ? *change : server_defaults();
    if (config.socket_count == 0 && config.listen_count == 0) {
        config.listen = any_port;
        config.listen_count = 1;
    }
    config.handler = handler;
    assert_true(open_handler(handler, &handler_hello));
    struct server *server = server_open(&config, NULL, &error);
    if (!server)
        fail_msg("%s", error.text);
    return server;
}

static void *run(void *argument)
{
    struct embedded *embedded = argument;
    embedded->left = server_run(embedded->server);
    return NULL;
}

static void start(struct embedded *embedded, const struct server_config *config)
{
    embedded->server = open_server(config);
    embedded->left = -2;
    assert_int_equal(pthread_create(&embedded->thread, NULL, run, embedded), 0);
}

static void finish(struct embedded *embedded)
{
    server_stop(embedded->server);
    pthread_join(embedded->thread, NULL);
    assert_int_equal(embedded->left, 0);
    server_close(embedded->server);
}

static int connect_to(const struct server *server)
{
    const struct address *address = server_address(server, 0);
    int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address->socket.any, address->size), 0);
    return fd;
}

static void read_exactly(int fd, const char *expected)
{
    char text[256] = "";
    size_t size = strlen(expected);
    assert_true(size < sizeof text);
    assert_int_equal(recv(fd, text, size, MSG_WAITALL), (ssize_t) size);
    assert_string_equal(text, expected);
}

static void ask(int fd, const char *request, const char *reply)
{
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t) strlen(request));
    read_exactly(fd, reply);
}

static void at_end(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

static void at_stop(int fd)
{
    read_exactly(fd, "-ERR stopping the server is stopping\n");
    at_end(fd);
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void test_serves_and_stops(void **state)
{
    (void) state;
    struct embedded embedded;
    start(&embedded, NULL);
    int fd = connect_to(embedded.server);
    ask(fd, "Zack\n", "Hello ZACK\n");
    server_stop(embedded.server);
    at_stop(fd);
    finish(&embedded);
}

/* Without a log all is counted the same, and nothing is written. */
static void test_counts_what_it_does(void **state)
{
    (void) state;
    static const char requests[] = "Zack\n0123456789\n\xff\n--QUIT--\n";
    static const char replies[] = "Hello ZACK\n-ERR too-long a request may have 8 bytes\n"
                                  "-ERR not-utf8 the byte at offset 0 does not begin a "
                                  "character of UTF-8\n";
    struct server_config config = server_defaults();
    struct server_stats stats;
    struct embedded embedded;
    config.max_message = 8;
    start(&embedded, &config);
    int fd = connect_to(embedded.server);
    ask(fd, requests, replies);
    at_end(fd);
    server_stats(embedded.server, &stats); /* while it runs: whatever it says, it says it at once */
    assert_true(stats.requests <= 3 && stats.threads > 0 && stats.loops_in_use > 0);

    server_stop(embedded.server);
    pthread_join(embedded.thread, NULL);
    server_stats(embedded.server, &stats);
    assert_int_equal(stats.sessions, 1);
    assert_int_equal(stats.clients, 0);
    assert_int_equal(stats.refused, 0);
    assert_int_equal(stats.requests, 3);
    assert_int_equal(stats.bytes_received, sizeof requests - 1);
    assert_int_equal(stats.bytes_sent, sizeof replies - 1);
    for (int code = 0; code < PROTOCOL_CODES; code++)
        assert_int_equal(stats.errors[code],
                         code == PROTOCOL_CODE_TOO_LONG || code == PROTOCOL_CODE_NOT_UTF8);
    assert_int_equal(stats.events[LOG_CONNECTED], 1);
    assert_int_equal(stats.events[LOG_CLOSED], 1);
    assert_int_equal(stats.events[LOG_QUIT], 1);
    assert_int_equal(stats.events[LOG_TOO_LONG], 1);
    assert_int_equal(stats.events[LOG_STOPPED], 1);
    assert_int_equal(stats.log_lines, 0);
    assert_int_equal(stats.threads, 0);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.accept_rests, 0);
    assert_int_equal(stats.max_clients, config.max_clients ? config.max_clients : 10000);
    assert_true(stats.batches > 0);
    assert_true(stats.loops >= stats.loops_in_use);
    server_close(embedded.server);
}

static uint64_t latencies(const struct server *server, enum server_answered how)
{
    struct latency latency;
    server_latency(server, how, &latency);
    assert_true(latency.count == 0 || latency.nanoseconds > 0);
    return latency.count;
}

/* Each request is in one of the two histograms, but for what gets no reply. */
static void test_measures_each_request(void **state)
{
    (void) state;
    struct server_config config = server_defaults();
    struct embedded embedded;
    config.max_message = 8;
    start(&embedded, &config);
    int fd = connect_to(embedded.server);
    ask(fd, "Zack\n0123456789\nb\n",
        "Hello ZACK\n-ERR too-long a request may have 8 bytes\n"
        "Hello B\n");
    server_stop(embedded.server);
    at_stop(fd);
    pthread_join(embedded.thread, NULL);
    struct server_stats stats;
    server_stats(embedded.server, &stats);
    assert_int_equal(latencies(embedded.server, SERVER_ANSWERED_AT_ONCE) +
                         latencies(embedded.server, SERVER_ANSWERED_LATE),
                     3);
    assert_int_equal(stats.errors[PROTOCOL_CODE_STOPPING], 1);
    server_close(embedded.server);
}

/* ---- inquiries ---- */

/* Asks, waits for all loops, and returns how many were found; the list, if that was asked for. */
static size_t inquire(const struct server *server, enum inquiry_kind kind, uint64_t session,
                      struct buffer *list)
{
    struct inquiry *inquiry = server_inquire(server, kind, session);
    assert_non_null(inquiry);
    struct pollfd answers = {inquiry_fd(inquiry), POLLIN, 0};
    assert_int_equal(poll(&answers, 1, 10000), 1);
    assert_true(inquiry_is_over(inquiry));
    size_t found = inquiry_found(inquiry);
    if (list) {
        assert_true(inquiry_list(inquiry, PROTOCOL_MAX_REPLY, list));
        assert_true(buffer_append(list, "", 1));
        size_t before = buffer_size(list);
        assert_false(inquiry_list(inquiry, 1, list));
        assert_int_equal(buffer_size(list), before);
    }
    inquiry_release(inquiry);
    return found;
}

static unsigned count_keys(const struct buffer *list, const char *key)
{
    unsigned count = 0;
    for (const char *at = buffer_head(list); (at = strstr(at, key)); at++)
        count++;
    return count;
}

static void test_lists_and_closes_its_sessions(void **state)
{
    enum { CLIENTS = 300 };
    (void) state;
    struct server_config config = server_defaults();
    struct embedded embedded;
    struct buffer list = {0};
    int fds[CLIENTS];
    config.threads = 3;
    start(&embedded, &config);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = connect_to(embedded.server);
        ask(fds[i], "a\n", "Hello A\n");
    }
    assert_int_equal(inquire(embedded.server, INQUIRY_LIST, 0, &list), CLIENTS);
    assert_int_equal(count_keys(&list, "{\"session\":"), CLIENTS);
    assert_int_equal(count_keys(&list, "},{"), CLIENTS - 1);
    assert_int_equal(count_keys(&list, "{\"session\":7,\"address\":\"127.0.0.1:"), 1);
    buffer_clear(&list);

    assert_int_equal(inquire(embedded.server, INQUIRY_LIST, 8, &list), 1);
    assert_int_equal(count_keys(&list, "{"), 1);
    assert_int_equal(count_keys(&list, "\"requests_pending\":0,\"unsent_bytes\":0}]"), 1);
    assert_int_equal(inquire(embedded.server, INQUIRY_CLOSE, CLIENTS + 1, NULL), 0);
    assert_int_equal(inquire(embedded.server, INQUIRY_CLOSE, 8, NULL), 1);
    read_exactly(fds[7], "-ERR stopping the server closes this connection\n");
    at_end(fds[7]);
    assert_int_equal(inquire(embedded.server, INQUIRY_CLOSE, 8, NULL), 0);
    ask(fds[6], "a\n", "Hello A\n");
    buffer_fini(&list);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (i != 7)
            close(fds[i]);
    finish(&embedded);
}

/* Before the loops run and after they have, there are no sessions, and nobody waits for them. */
static void test_an_inquiry_waits_for_no_loop_that_does_not_run(void **state)
{
    (void) state;
    struct buffer list = {0};
    struct embedded embedded = {.server = open_server(NULL)};
    assert_int_equal(inquire(embedded.server, INQUIRY_CLOSE, 1, NULL), 0);
    server_stop(embedded.server);
    assert_int_equal(server_run(embedded.server), 0);
    assert_int_equal(inquire(embedded.server, INQUIRY_LIST, 0, &list), 0);
    assert_string_equal(buffer_head(&list), "[]");
    buffer_fini(&list);
    server_close(embedded.server);
}

/* Nobody waits for an answer any more, and the loops are none the worse. */
static void test_inquiries_may_be_given_up(void **state)
{
    (void) state;
    struct embedded embedded;
    start(&embedded, NULL);
    int fd = connect_to(embedded.server);
    for (unsigned i = 0; i < 100; i++)
        inquiry_release(server_inquire(embedded.server, INQUIRY_LIST, 0));
    ask(fd, "a\n", "Hello A\n");
    server_stop(embedded.server);
    for (unsigned i = 0; i < 100; i++)
        inquiry_release(server_inquire(embedded.server, INQUIRY_CLOSE, 1));
    close(fd);
    finish(&embedded);
}

/* ---- sockets and addresses ---- */

static void test_listens_on_a_bound_socket(void **state)
{
    (void) state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof address), 0);
    struct server_config config = server_defaults();
    config.sockets = &fd;
    config.socket_count = 1;
    struct embedded embedded;
    start(&embedded, &config);
    assert_int_equal(server_address_count(embedded.server), 1);
    int client = connect_to(embedded.server);
    ask(client, "bound\n", "Hello BOUND\n");
    close(client);
    finish(&embedded);
}

static void test_a_socket_stays_the_callers_on_failure(void **state)
{
    (void) state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct handler handler = {0};
    struct error error;
    struct server_config config = server_defaults();
    enum server_failure failure;
    assert_true(open_handler(&handler, &handler_echo));
    config.handler = &handler;
    config.sockets = fds;
    config.socket_count = 1; /* a connected socket can't listen */
    assert_null(server_open(&config, &failure, &error));
    assert_int_equal(failure, SERVER_NOT_BOUND);
    assert_non_null(strstr(error.text, "unable to listen"));
    assert_non_null(handler.kind);
    handler_close(&handler);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
}

static void test_bad_addresses_are_told(void **state)
{
    (void) state;
    const char *const malformed[] = {"127.0.0.1:0", "nonsense:port"};
    struct handler handler = {0};
    struct error error;
    struct server_config config = server_defaults();
    enum server_failure failure;
    unsigned before = count_descriptors();
    assert_true(open_handler(&handler, &handler_echo));
    config.handler = &handler;
    config.listen = malformed;
    config.listen_count = 2;
    assert_null(server_open(&config, &failure, &error));
    assert_int_equal(failure, SERVER_BAD_ADDRESS);
    assert_non_null(strstr(error.text, "nonsense:port"));
    assert_int_equal(count_descriptors(), before);
}

static void test_several_in_one_process(void **state)
{
    (void) state;
    struct embedded one, two;
    struct server_config netstring = server_defaults();
    netstring.codec = FRAME_NETSTRING;
    start(&one, NULL);
    start(&two, &netstring);
    int first = connect_to(one.server), second = connect_to(two.server);
    ask(first, "a\n", "Hello A\n");
    ask(second, "1:b,", "7:Hello B,");
    finish(&one);
    ask(second, "1:c,", "7:Hello C,");
    at_stop(first);
    close(second);
    finish(&two);
}

static void test_stop_before_run(void **state)
{
    (void) state;
    struct embedded embedded = {.server = open_server(NULL), .left = -2};
    int fd = connect_to(embedded.server); /* it listens already */
    assert_int_equal(send(fd, "early\n", 6, MSG_NOSIGNAL), 6);
    server_stop(embedded.server);
    server_stop(embedded.server);
    assert_int_equal(pthread_create(&embedded.thread, NULL, run, &embedded), 0);
    read_exactly(fd, "Hello EARLY\n"); /* what was received is answered */
    at_stop(fd);
    finish(&embedded);
}

static void test_close_without_run(void **state)
{
    (void) state;
    unsigned before = count_descriptors();
    server_close(open_server(NULL));
    server_close(NULL);
    assert_int_equal(count_descriptors(), before);
}

static struct server *stopped_by_signal;

static void stop_it(int number)
{
    (void) number;
    server_stop(stopped_by_signal);
}

static void test_stop_from_a_signal_handler(void **state)
{
    (void) state;
    struct embedded embedded;
    start(&embedded, NULL);
    stopped_by_signal = embedded.server;
    struct sigaction action = {.sa_handler = stop_it}, before;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    raise(SIGUSR1);
    pthread_join(embedded.thread, NULL);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    assert_int_equal(embedded.left, 0);
    server_close(embedded.server);
}

static void test_signals_are_left_alone(void **state)
{
    (void) state;
    sigset_t before, after;
    struct sigaction pipe_before, pipe_after;
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    sigaction(SIGPIPE, NULL, &pipe_before);
    struct embedded embedded;
    start(&embedded, NULL);
    int fd = connect_to(embedded.server);
    ask(fd, "x\n", "Hello X\n");
    close(fd);
    finish(&embedded);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    sigaction(SIGPIPE, NULL, &pipe_after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_ptr_equal(pipe_before.sa_handler, pipe_after.sa_handler);
}

static void test_nothing_is_left(void **state)
{
    (void) state;
    struct embedded embedded;
    start(&embedded, NULL);
    finish(&embedded);
    unsigned before = count_descriptors();
    for (int i = 0; i < 20; i++) {
        int fds[8];
        start(&embedded, NULL);
        for (unsigned k = 0; k < 8; k++) {
            fds[k] = connect_to(embedded.server);
            ask(fds[k], "y\n", "Hello Y\n");
        }
        server_stop(embedded.server);
        for (unsigned k = 0; k < 8; k++)
            at_stop(fds[k]);
        finish(&embedded);
    }
    assert_int_equal(count_descriptors(), before);
}

static void test_two_servers_share_a_log(void **state)
{
    (void) state;
    int fds[2];
    struct error error;
    assert_int_equal(pipe(fds), 0);
    struct log *log = log_open(fds[1], LOG_MESSAGES, (struct log_style){0}, &error);
    assert_non_null(log);
    struct server_config config = server_defaults();
    config.log = log;
    for (int i = 0; i < 2; i++) {
        struct embedded embedded;
        start(&embedded, &config);
        int fd = connect_to(embedded.server);
        ask(fd, "logged\n", "Hello LOGGED\n");
        close(fd);
        finish(&embedded);
    }
    log_stop(log);
    log_free(log);
    close(fds[1]);
    char text[4096];
    size_t size = 0;
    for (ssize_t got; (got = read(fds[0], text + size, sizeof text - 1 - size)) > 0;)
        size += (size_t) got;
    text[size] = '\0';
    close(fds[0]);
    unsigned results = 0;
    for (const char *at = text; (at = strstr(at, "[1] Processed result: Hello LOGGED\n")); at++)
        results++;
    assert_int_equal(results, 2);
}

static void test_loops_follow_the_level_of_the_log(void **state)
{
    (void) state;
    static const enum log_level levels[] = {LOG_ERRORS, LOG_MESSAGES, LOG_CONNECTIONS,
                                            LOG_MESSAGES};
    struct error error;
    int log_fd = memfd_create("log", MFD_CLOEXEC);
    struct log *log = log_open(log_fd, LOG_ERRORS, (struct log_style){0}, &error);
    assert_non_null(log);
    struct server_config config = server_defaults();
    config.log = log;
    struct embedded embedded;
    start(&embedded, &config);
    int fd = connect_to(embedded.server);
    for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++) {
        char request[8], reply[16];
        snprintf(request, sizeof request, "%u\n", i);
        snprintf(reply, sizeof reply, "Hello %u\n", i);
        log_set_level(log, levels[i]);
        ask(fd, request, reply);
    }
    close(fd);
    finish(&embedded);
    log_stop(log);
    log_free(log);
    char text[1024];
    ssize_t size = pread(log_fd, text, sizeof text - 1, 0);
    assert_true(size > 0);
    text[size] = '\0';
    close(log_fd);
    for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++) {
        char line[64];
        snprintf(line, sizeof line, "[1] Processed result: Hello %u\n", i);
        assert_int_equal(strstr(text, line) != NULL, levels[i] == LOG_MESSAGES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serves_and_stops),
        cmocka_unit_test(test_counts_what_it_does),
        cmocka_unit_test(test_measures_each_request),
        cmocka_unit_test(test_lists_and_closes_its_sessions),
        cmocka_unit_test(test_an_inquiry_waits_for_no_loop_that_does_not_run),
        cmocka_unit_test(test_inquiries_may_be_given_up),
        cmocka_unit_test(test_listens_on_a_bound_socket),
        cmocka_unit_test(test_a_socket_stays_the_callers_on_failure),
        cmocka_unit_test(test_bad_addresses_are_told),
        cmocka_unit_test(test_loops_follow_the_level_of_the_log),
        cmocka_unit_test(test_several_in_one_process),
        cmocka_unit_test(test_stop_before_run),
        cmocka_unit_test(test_close_without_run),
        cmocka_unit_test(test_stop_from_a_signal_handler),
        cmocka_unit_test(test_signals_are_left_alone),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_two_servers_share_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
