/*
 * The notations of addresses, and every text about a bad one, against tables.
 *
 * The resolver is this file's: what names mean must not depend on the machine, or on a network.
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
#include <netdb.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/address.h"
#include "tests/unit/resolve_one.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the resolver ---- */

static const struct {
    const char *name;
    int failure; /* 0: the addresses, separated by spaces */
    const char *addresses;
} known_hosts[] = {
    {"localhost", 0, "::1 127.0.0.1"},
    {"one.example", 0, "192.0.2.1"},
    {"twice.example", 0, "192.0.2.1 2001:db8::1 192.0.2.1 2001:db8::1 192.0.2.2"},
    {"many.example", 0, "2001:db8::1 2001:db8::2 2001:db8::3 192.0.2.1 192.0.2.2"},
    {"few.example", 0, "192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1"},
    {"a_b-c.example.", 0, "192.0.2.3"},
    {"odd.example", 0, "-"},
    {"later.example", EAI_AGAIN, NULL},
    {"broken.example", EAI_SYSTEM, NULL},
};

/* "-" stands for an address of a family that nobody knows. */
static struct addrinfo *new_answer(const char *text)
{
    struct {
        struct addrinfo info;
        struct sockaddr_storage address;
    } *answer = calloc(1, sizeof *answer);
    assert_non_null(answer);
    struct sockaddr_in *v4 = (struct sockaddr_in *) &answer->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) &answer->address;
    bool is_v6 = inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
    bool is_v4 = inet_pton(AF_INET, text, &v4->sin_addr) == 1;
    answer->address.ss_family = is_v6 ? AF_INET6 : is_v4 ? AF_INET : AF_MAX;
    answer->info.ai_family = answer->address.ss_family;
    answer->info.ai_addr = (struct sockaddr *) &answer->address;
    answer->info.ai_addrlen = is_v6 ? sizeof *v6 : sizeof *v4;
    return &answer->info;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    (void) service;
    assert_int_equal(hints->ai_socktype, SOCK_STREAM);
    for (size_t i = 0; i < COUNT(known_hosts); i++) {
        if (strcmp(known_hosts[i].name, node) != 0)
            continue;
        if (known_hosts[i].failure != 0) {
            errno = ENFILE;
            return known_hosts[i].failure;
        }
        char *copy = strdup(known_hosts[i].addresses);
        char *rest = NULL;
        for (char *each = strtok_r(copy, " ", &rest); each; each = strtok_r(NULL, " ", &rest)) {
            *found = new_answer(each);
            found = &(*found)->ai_next;
        }
        free(copy);
        return 0;
    }
    return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *found)
{
    while (found) {
        struct addrinfo *next = found->ai_next;
        free(found);
        found = next;
    }
}

/* ---- notations ---- */

static bool has_v6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void print_list(const struct address_list *list, char *text, size_t size)
{
    text[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        char one[ADDRESS_TEXT_SIZE];
        address_print(&list->items[i], one);
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%s", used > 0 ? " " : "", one);
    }
}

#define P107                                                                                       \
    "/tmp/0123456789012345678901234567890123456789012345678"                                       \
    "90123456789012345678901234567890123456789012345678901"

static void test_resolves(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        const char *to_listen;  /* NULL: not tried */
        const char *to_connect; /* NULL: not tried */
    } cases[] = {
        {"8000", "127.0.0.1:8000", "127.0.0.1:8000"},
        {"65535", "127.0.0.1:65535", "127.0.0.1:65535"},
        {"0", "127.0.0.1:0", NULL},
        {"1", "127.0.0.1:1", "127.0.0.1:1"},
        {"00080", "127.0.0.1:80", "127.0.0.1:80"},
        {":8000", "0.0.0.0:8000 [::]:8000", "127.0.0.1:8000 [::1]:8000"},
        {":0", "0.0.0.0:0 [::]:0", NULL},
        {"192.0.2.7:80", "192.0.2.7:80", "192.0.2.7:80"},
        {"[::1]:80", "[::1]:80", "[::1]:80"},
        {"[::]:0", "[::]:0", NULL},
        {"[2001:DB8:0:0::0001]:80", "[2001:db8::1]:80", "[2001:db8::1]:80"},
        {"[::ffff:192.0.2.7]:80", "192.0.2.7:80", "192.0.2.7:80"},
        {"[fe80::1%lo]:80", "[fe80::1%lo]:80", "[fe80::1%lo]:80"},
        {"[fe80::1%4000000000]:80", "[fe80::1%4000000000]:80", "[fe80::1%4000000000]:80"},
        {"192.0.2.7", NULL, "192.0.2.7:8000"},
        {"one.example", NULL, "192.0.2.1:8000"},
        {"localhost", NULL, "[::1]:8000 127.0.0.1:8000"},
        {"[::1]", NULL, "[::1]:8000"},
        {"[fe80::1%lo]", NULL, "[fe80::1%lo]:8000"},
        {"::1", NULL, "[::1]:8000"},
        {"::", NULL, "[::]:8000"},
        {"2001:db8::1", NULL, "[2001:db8::1]:8000"},
        {"2001:db8::5:abcd", NULL, "[2001:db8::5:abcd]:8000"},
        {"1:2:3:4:5:6:7:8", NULL, "[1:2:3:4:5:6:7:8]:8000"},
        {"::ffff:192.0.2.7", NULL, "192.0.2.7:8000"},
        {"fe80::1%lo", NULL, "[fe80::1%lo]:8000"},
        {"fe80::1:80%lo", NULL, "[fe80::1:80%lo]:8000"},
        {"localhost:80", "[::1]:80 127.0.0.1:80", "[::1]:80 127.0.0.1:80"},
        {"one.example:0", "192.0.2.1:0", NULL},
        {"twice.example:5", "192.0.2.1:5 [2001:db8::1]:5 192.0.2.2:5", NULL},
        {"many.example:5",
         "[2001:db8::1]:5 [2001:db8::2]:5 [2001:db8::3]:5 192.0.2.1:5 192.0.2.2:5",
         "[2001:db8::1]:5 192.0.2.1:5 [2001:db8::2]:5 192.0.2.2:5 [2001:db8::3]:5"},
        {"few.example:5", "192.0.2.1:5 192.0.2.2:5 192.0.2.3:5 [2001:db8::1]:5",
         "192.0.2.1:5 [2001:db8::1]:5 192.0.2.2:5 192.0.2.3:5"},
        {"a_b-c.example.:5", "192.0.2.3:5", "192.0.2.3:5"},
        {"unix:/run/x", "unix:/run/x", "unix:/run/x"},
        {"unix:x:80", "unix:x:80", "unix:x:80"},
        {"unix:" P107, "unix:" P107, "unix:" P107},
        {"unix:@x", "unix:@x", "unix:@x"},
        {"unix:./@x", "unix:./@x", "unix:./@x"},
        {"tls:8443", NULL, "127.0.0.1:8443"},
        {"tls::8443", NULL, "127.0.0.1:8443 [::1]:8443"},
        {"tls:one.example", NULL, "192.0.2.1:8000"},
        {"tls:[::1]:8443", NULL, "[::1]:8443"},
        {"tls:::1", NULL, "[::1]:8000"},
        {"tls:unix:/run/x", NULL, "unix:/run/x"},
    };
    if (!has_v6())
        skip();
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *expected[] = {cases[i].to_listen, cases[i].to_connect};
        const enum address_use uses[] = {ADDRESS_TO_LISTEN, ADDRESS_TO_CONNECT};
        for (size_t use = 0; use < COUNT(uses); use++) {
            struct address_list list;
            struct error error = {"none"};
            char text[512];
            if (!expected[use])
                continue;
            print_message("# %s\n", cases[i].text);
            enum address_result result = address_resolve(cases[i].text, uses[use], &list, &error);
            assert_string_equal(error.text, "none");
            assert_int_equal(result, ADDRESS_OK);
            print_list(&list, text, sizeof text);
            assert_string_equal(text, expected[use]);
            address_list_fini(&list);
            assert_null(list.items);
            assert_int_equal(list.count, 0);
            assert_true(address_check(cases[i].text, uses[use], &error));
        }
    }
}

#define RIGHT                                                                                      \
    "; an address is HOST:PORT, :PORT, PORT, [V6]:PORT or unix:PATH, such as 127.0.0.1:8000"
#define PORT_0 "the port is not a number from 0 to 65535"
#define PORT_1 "the port is not a number from 1 to 65535"
#define NOT_V6 "what stands in brackets is not an IPv6 address"
#define NEEDS_BRACKETS "an IPv6 address needs brackets, such as [::1]:8000"
#define NOT_V4 "the host is not four numbers from 0 to 255, such as 127.0.0.1"
#define BAD_NAME "a host name holds letters, digits, '-', '.' and '_' only"
#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_malformed(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        enum address_use use;
        const char *why;
        const char *shown; /* NULL: as the text is */
    } cases[] = {
        {"", ADDRESS_TO_LISTEN, "it is empty", NULL},
        {"localhost", ADDRESS_TO_LISTEN, "the port is missing", NULL},
        {"127.0.0.1", ADDRESS_TO_LISTEN, "the port is missing", NULL},
        {"[::1]", ADDRESS_TO_LISTEN, "the port is missing", NULL},
        {"[::1]80", ADDRESS_TO_LISTEN, "the port is missing", NULL},
        {"-1", ADDRESS_TO_LISTEN, "the port is missing", NULL},
        {" 8000", ADDRESS_TO_LISTEN, "the port is missing", NULL},
        {":", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"localhost:", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"[::1]:", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"localhost:http", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"localhost:-1", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"localhost:+1", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"localhost: 1", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"localhost:1 ", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"localhost:0x50", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"65536", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {":65536", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"[::1]:65536", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"4294967297", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"18446744073709551617", ADDRESS_TO_LISTEN, PORT_0, NULL},
        {"0", ADDRESS_TO_CONNECT, PORT_1, NULL},
        {":0", ADDRESS_TO_CONNECT, PORT_1, NULL},
        {"[::1]:0", ADDRESS_TO_CONNECT, PORT_1, NULL},
        {"localhost:000", ADDRESS_TO_CONNECT, PORT_1, NULL},
        {"65536", ADDRESS_TO_CONNECT, PORT_1, NULL},
        {"[::1:80", ADDRESS_TO_LISTEN, "the closing bracket is missing", NULL},
        {"[", ADDRESS_TO_LISTEN, "the closing bracket is missing", NULL},
        {"[]:80", ADDRESS_TO_LISTEN, NOT_V6, NULL},
        {"[localhost]:80", ADDRESS_TO_LISTEN, NOT_V6, NULL},
        {"[127.0.0.1]:80", ADDRESS_TO_LISTEN, NOT_V6, NULL},
        {"[::1::2]:80", ADDRESS_TO_LISTEN, NOT_V6, NULL},
        {"[12345::]:80", ADDRESS_TO_LISTEN, NOT_V6, NULL},
        {"[0123:4567:89ab:cdef:0123:4567:89ab:cdef:012345]:80", ADDRESS_TO_LISTEN, NOT_V6, NULL},
        {"[1:2:3:4:5:6:7:8:9:0:1:2:3:4:5:6:7:8:9:0:1:2:3:4]:80", ADDRESS_TO_LISTEN, NOT_V6, NULL},
        {"[fe80::1%]:80", ADDRESS_TO_LISTEN,
         "an interface stands behind '%', such as [fe80::1%eth0]:8000", NULL},
        {"[fe80::1%0123456789abcdef]:80", ADDRESS_TO_LISTEN,
         "an interface stands behind '%', such as [fe80::1%eth0]:8000", NULL},
        {"[fe80::1]:80", ADDRESS_TO_LISTEN,
         "a link-local address needs its interface, such as [fe80::1%eth0]:8000", NULL},
        {"::1", ADDRESS_TO_LISTEN, NEEDS_BRACKETS, NULL},
        {"::1:8000", ADDRESS_TO_LISTEN, NEEDS_BRACKETS, NULL},
        {"::ffff:127.0.0.1", ADDRESS_TO_LISTEN, NEEDS_BRACKETS, NULL},
        {"fe80::1%eth0:80", ADDRESS_TO_LISTEN, NEEDS_BRACKETS, NULL},
        {"tls:", ADDRESS_TO_CONNECT, "the rest is missing, as in tls:localhost:8443", NULL},
        {"tls:0", ADDRESS_TO_CONNECT, PORT_1, "0"},
        {"TLS:h:1", ADDRESS_TO_CONNECT, BAD_NAME, NULL},
        {"tls:", ADDRESS_TO_LISTEN, "the rest is missing, as in tls:localhost:8443", NULL},
        {"tls:127.0.0.1", ADDRESS_TO_LISTEN, "the port is missing", "127.0.0.1"},
        {"::1:8000", ADDRESS_TO_CONNECT, NEEDS_BRACKETS, NULL},
        {"fe80::1:80", ADDRESS_TO_CONNECT, NEEDS_BRACKETS, NULL},
        {"2001:db8::1:2", ADDRESS_TO_CONNECT, NEEDS_BRACKETS, NULL},
        {"fe80::1%lo:80", ADDRESS_TO_CONNECT, NEEDS_BRACKETS, NULL},
        {"::12345", ADDRESS_TO_CONNECT, NEEDS_BRACKETS, NULL},
        {"::1::2", ADDRESS_TO_CONNECT, NEEDS_BRACKETS, NULL},
        {"fe80::1", ADDRESS_TO_CONNECT,
         "a link-local address needs its interface, such as [fe80::1%eth0]:8000", NULL},
        {"[::1]x", ADDRESS_TO_CONNECT, "the port is missing", NULL},
        {"[localhost]", ADDRESS_TO_CONNECT, NOT_V6, NULL},
        {"127.1", ADDRESS_TO_CONNECT, NOT_V4, NULL},
        {"a b", ADDRESS_TO_CONNECT, BAD_NAME, NULL},
        {"/run/x", ADDRESS_TO_CONNECT, BAD_NAME, NULL},
        {"localhost:", ADDRESS_TO_CONNECT, PORT_1, NULL},
        {"127.0.0.256:80", ADDRESS_TO_LISTEN, NOT_V4, NULL},
        {"127.1:80", ADDRESS_TO_LISTEN, NOT_V4, NULL},
        {"127.0.0.01:80", ADDRESS_TO_LISTEN, NOT_V4, NULL},
        {"1.2.3.4.5:80", ADDRESS_TO_LISTEN, NOT_V4, NULL},
        {"80:80", ADDRESS_TO_LISTEN, NOT_V4, NULL},
        {".:80", ADDRESS_TO_LISTEN, NOT_V4, NULL},
        {"http://localhost:80", ADDRESS_TO_LISTEN, BAD_NAME, NULL},
        {"tcp:localhost:80", ADDRESS_TO_LISTEN, BAD_NAME, NULL},
        {"*:80", ADDRESS_TO_LISTEN, BAD_NAME, NULL},
        {"local host:80", ADDRESS_TO_LISTEN, BAD_NAME, NULL},
        {"b\u00e4r:80", ADDRESS_TO_LISTEN, BAD_NAME, NULL},
        {"a\n:80", ADDRESS_TO_LISTEN, BAD_NAME, "a\\x0a:80"},
        {A50 A50 A50 A50 A50 "aaaa:80", ADDRESS_TO_LISTEN, "a host name has at most 253 bytes",
         A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."},
        {"unix:", ADDRESS_TO_LISTEN, "the path is missing, as in unix:/run/banter.sock", NULL},
        {"unix:@", ADDRESS_TO_CONNECT, "the name behind the '@' is missing, as in unix:@banter",
         NULL},
        {"unix:" P107 "x", ADDRESS_TO_CONNECT,
         "the path has 108 bytes, and a socket's can have 107",
         "unix:/tmp/01234567890123456789012345678901234567890123456789012345678901234567890123..."},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address_list list = {NULL, 7};
        struct error error = {"none"};
        char expected[sizeof error.text];
        print_message("# %s\n", cases[i].text);
        snprintf(expected, sizeof expected, "\"%s\" is no address: %s%s",
                 cases[i].shown ? cases[i].shown : cases[i].text, cases[i].why, RIGHT);
        assert_int_equal(address_resolve(cases[i].text, cases[i].use, &list, &error),
                         ADDRESS_MALFORMED);
        assert_string_equal(error.text, expected);
        assert_null(list.items);
        assert_int_equal(list.count, 0);
        error.text[0] = '\0';
        assert_false(address_check(cases[i].text, cases[i].use, &error));
        assert_string_equal(error.text, expected);
    }
}

static void test_unknown_hosts(void **state)
{
    (void) state;
    char again[128];
    snprintf(again, sizeof again, "unable to resolve the host \"later.example\": %s",
             gai_strerror(EAI_AGAIN));
    const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"nosuch.example:80",
         "unable to resolve the host \"nosuch.example\": Name or service not known"},
        {"later.example:80", again},
        {"broken.example:80",
         "unable to resolve the host \"broken.example\": Too many open files in system"},
        {"odd.example:80", "unable to resolve the host \"odd.example\": it has no address that can "
                           "be used here"},
        {"[fe80::1%nosuch]:80", "there is no network interface \"nosuch\" here"},
        {"[fe80::1%0]:80", "there is no network interface \"0\" here"},
        {"[fe80::1%4294967296]:80", "there is no network interface \"4294967296\" here"},
        {"[fe80::1%-1]:80", "there is no network interface \"-1\" here"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address_list list = {NULL, 7};
        struct error error = {"none"};
        assert_true(address_check(cases[i].text, ADDRESS_TO_CONNECT, &error));
        assert_int_equal(address_resolve(cases[i].text, ADDRESS_TO_CONNECT, &list, &error),
                         ADDRESS_UNKNOWN_HOST);
        assert_string_equal(error.text, cases[i].error);
        assert_null(list.items);
        assert_int_equal(list.count, 0);
    }
}

/* What resolving does not make, but accept() and getsockname() do. */
static void test_names(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        const char *host;
        const char *name;
        bool is_tls;
    } cases[] = {
        {"8000", "127.0.0.1", "127.0.0.1:8000", false},
        {":8000", "localhost", "localhost:8000", false},
        {"one.example", "one.example", "one.example:8000", false},
        {"unix:tls:1", "", "unix:tls:1", false},
        {"tls:8443", "127.0.0.1", "tls:127.0.0.1:8443", true},
        {"tls::8443", "localhost", "tls:localhost:8443", true},
        {"tls:one.example", "one.example", "tls:one.example:8000", true},
        {"tls:one.example:8443", "one.example", "tls:one.example:8443", true},
        {"tls:[2001:DB8::0001]:8443", "2001:db8::1", "tls:[2001:db8::1]:8443", true},
        {"tls:[fe80::1%lo]:8443", "fe80::1", "tls:[fe80::1%lo]:8443", true},
        {"tls:::1", "::1", "tls:[::1]:8000", true},
        {"tls:unix:/run/x", "", "tls:unix:/run/x", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address_list list;
        struct error error;
        char host[ADDRESS_HOST_SIZE];
        char name[ADDRESS_NAMED_SIZE];
        print_message("# %s\n", cases[i].text);
        assert_int_equal(address_resolve(cases[i].text, ADDRESS_TO_CONNECT, &list, &error),
                         ADDRESS_OK);
        assert_string_equal(address_host(cases[i].text, host), cases[i].host);
        address_print_named(&list.items[0], cases[i].text, name);
        assert_string_equal(name, cases[i].name);
        assert_int_equal(address_is_tls(cases[i].text), cases[i].is_tls);
        address_list_fini(&list);
    }
}

static void test_prints_what_the_kernel_gives(void **state)
{
    (void) state;
    char text[ADDRESS_TEXT_SIZE];
    socklen_t head = offsetof(struct sockaddr_un, sun_path);

    struct address unnamed = {.size = head};
    unnamed.socket.local.sun_family = AF_UNIX;
    memset(unnamed.socket.local.sun_path, 'x', sizeof unnamed.socket.local.sun_path);
    address_print(&unnamed, text);
    assert_string_equal(text, "unix:");

    struct address full = unnamed; /* without a NUL at its end */
    full.size = sizeof full.socket.local;
    address_print(&full, text);
    assert_int_equal(strlen(text), strlen("unix:") + sizeof full.socket.local.sun_path);
    assert_memory_equal(text, "unix:xxx", 8);

    struct address abstract = unnamed;
    abstract.size = head + 5;
    memcpy(abstract.socket.local.sun_path, "\0ab\0c", 5);
    address_print(&abstract, text);
    assert_string_equal(text, "unix:@ab@c");
}

static void test_ports(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        unsigned port;
        const char *with_port; /* after address_set_port(54321) */
    } cases[] = {
        {"127.0.0.1:80", 80, "127.0.0.1:54321"},
        {"[::1]:65535", 65535, "[::1]:54321"},
        {"unix:/a", 0, "unix:/a"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[ADDRESS_TEXT_SIZE];
        struct address address = resolve_one(cases[i].text);
        assert_int_equal(address_port(&address), cases[i].port);
        address_set_port(&address, 54321);
        address_print(&address, text);
        assert_string_equal(text, cases[i].with_port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolves),      cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_unknown_hosts), cmocka_unit_test(test_prints_what_the_kernel_gives),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
