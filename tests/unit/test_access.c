/* test_access: which clients the rules let connect, and what says so if they don't. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/net/access.h"

static struct address address_of(const char *text)
{
    struct address address = {.size = sizeof address.socket.v6};
    bool is_v6 = strchr(text, ':');
    address.socket.any.sa_family = is_v6 ? AF_INET6 : AF_INET;
    assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, text,
                               is_v6 ? (void *) &address.socket.v6.sin6_addr
                                     : (void *) &address.socket.v4.sin_addr),
                     1);
    return address;
}

static struct access *access_of(const char *allow, const char *deny)
{
    struct access *access = access_new();
    struct error error;
    if (allow && !access_add(access, ACCESS_ALLOW, allow, &error))
        fail_msg("--allow %s: %s", allow, error.text);
    if (deny && !access_add(access, ACCESS_DENY, deny, &error))
        fail_msg("--deny %s: %s", deny, error.text);
    return access;
}

#define NO_ADDRESS "no --allow names its address"
#define NO_CERTIFICATE "no --allow names its certificate"
#define NO_USER "no --allow names its user"

static void rules_for_addresses(void **state)
{
    (void) state;
    static const struct {
        const char *allow, *deny, *client;
        const char *why; /* NULL: it may connect */
    } rows[] = {
        {NULL, NULL, "127.0.0.1", NULL},
        {"127.0.0.1", NULL, "127.0.0.1", NULL},
        {"127.0.0.1", NULL, "127.0.0.2", NO_ADDRESS},
        {"127.0.0.1", NULL, "::1", NO_ADDRESS},
        {"10.0.0.0/8", NULL, "10.0.0.0", NULL},
        {"10.0.0.0/8", NULL, "10.255.255.255", NULL},
        {"10.0.0.0/8", NULL, "9.255.255.255", NO_ADDRESS},
        {"10.0.0.0/8", NULL, "11.0.0.0", NO_ADDRESS},
        {"0.0.0.0/0", NULL, "255.255.255.255", NULL},
        {"0.0.0.0/0", NULL, "::1", NO_ADDRESS},
        {"0.0.0.0/0", NULL, "::ffff:1.2.3.4", NULL},
        {"::/0", NULL, "1.2.3.4", NO_ADDRESS},
        {"::/0", NULL, "::ffff:1.2.3.4", NO_ADDRESS},
        {"::/0", NULL, "ffff::1", NULL},
        {"::/0,0.0.0.0/0", NULL, "1.2.3.4", NULL},
        {"::1", NULL, "::1", NULL},
        {"::1/128", NULL, "::1", NULL},
        {"::1", NULL, "::2", NO_ADDRESS},
        {"1.2.3.4/32", NULL, "1.2.3.4", NULL},
        {"1.2.3.4/32", NULL, "1.2.3.5", NO_ADDRESS},
        {"1.2.3.4/31", NULL, "1.2.3.5", NULL},
        {"1.2.3.4/31", NULL, "1.2.3.6", NO_ADDRESS},
        {"::ffff:1.2.3.4", NULL, "1.2.3.4", NULL},
        {"::ffff:1.2.3.4", NULL, "::ffff:1.2.3.4", NULL},
        {"::ffff:1.2.3.0/120", NULL, "1.2.3.200", NULL},
        {"::ffff:1.2.3.0/120", NULL, "1.2.4.0", NO_ADDRESS},
        {"::ffff:0:0/96", NULL, "200.2.3.4", NULL},
        {"1.2.3.4", NULL, "::ffff:1.2.3.4", NULL},
        {"2001:db8::/32", NULL, "2001:db8:ffff::1", NULL},
        {"2001:db8::/32", NULL, "2001:db9::", NO_ADDRESS},
        {"2001:db8:0:1::/64", NULL, "2001:db8:0:1:ffff:ffff:ffff:ffff", NULL},
        {"2001:db8:0:1::/64", NULL, "2001:db8:0:2::", NO_ADDRESS},
        {"2001:db8::8/125", NULL, "2001:db8::f", NULL},
        {"2001:db8::8/125", NULL, "2001:db8::10", NO_ADDRESS},
        {"fe80::/10", NULL, "fe80::1", NULL},
        {NULL, "127.0.0.1", "127.0.0.1", "--deny 127.0.0.1"},
        {NULL, "127.0.0.1", "127.0.0.2", NULL},
        {NULL, "127.0.0.0/8", "127.9.9.9", "--deny 127.0.0.0/8"},
        {NULL, "127.0.0.0/8,127.0.0.1", "127.0.0.1", "--deny 127.0.0.0/8"},
        {NULL, "0.0.0.0/0", "9.9.9.9", "--deny 0.0.0.0/0"},
        {NULL, "0.0.0.0/0", "::1", NULL},
        {NULL, "::/0", "::1", "--deny ::/0"},
        {NULL, "::/0", "9.9.9.9", NULL},
        {NULL, "2001:DB8::/32", "2001:db8::1", "--deny 2001:db8::/32"},
        {NULL, "::ffff:9.9.9.0/120", "9.9.9.9", "--deny 9.9.9.0/24"},
        {"10.0.0.0/8", "10.1.0.0/16", "10.2.0.1", NULL},
        {"10.0.0.0/8", "10.1.0.0/16", "10.1.0.1", "--deny 10.1.0.0/16"},
        {"10.0.0.0/8", "10.1.0.0/16", "11.1.0.1", NO_ADDRESS},
        {"10.1.0.0/16", "10.0.0.0/8", "10.1.0.1", "--deny 10.0.0.0/8"},
        {"10.0.0.0/8,192.168.0.0/16,::1", NULL, "192.168.255.1", NULL},
        {"10.0.0.0/8,192.168.0.0/16,::1", NULL, "192.169.0.1", NO_ADDRESS},
        /* Networks in one another, in any order, and beside one another. */
        {NULL, "10.1.1.0/24,10.0.0.0/8,10.1.0.0/16,10.1.1.1", "10.1.1.1", "--deny 10.0.0.0/8"},
        {NULL, "10.0.0.0/9,10.128.0.0/9", "10.127.255.255", "--deny 10.0.0.0/9"},
        {NULL, "10.0.0.0/9,10.128.0.0/9", "10.128.0.0", "--deny 10.128.0.0/9"},
        /* What says nothing about addresses leaves them alone. */
        {"user:0", NULL, "127.0.0.1", NULL},
        {NULL, "user:0,group:0", "127.0.0.1", NULL},
        /* Who has no certificate has no name. */
        {"CN=alice", NULL, "127.0.0.1", NO_CERTIFICATE},
        {NULL, "CN=alice,DNS:a,URI:*", "127.0.0.1", NULL},
        {"127.0.0.1,CN=alice", NULL, "127.0.0.1", NO_CERTIFICATE},
        {"127.0.0.1,CN=alice", NULL, "127.0.0.2", NO_ADDRESS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char why[ACCESS_WHY_SIZE] = "";
        struct access *access = access_of(rows[i].allow, rows[i].deny);
        struct address address = address_of(rows[i].client);
        struct access_client client = {&address, -1, NULL};
        bool allowed = access_allows(access, &client, why);
        if (allowed != !rows[i].why || (!allowed && strcmp(why, rows[i].why) != 0))
            fail_msg("row %zu, allow %s, deny %s, %s: %s", i, rows[i].allow, rows[i].deny,
                     rows[i].client, allowed ? "allowed" : why);
        access_free(access);
    }
}

static void rules_for_certificates(void **state)
{
    (void) state;
    static const struct {
        const char *allow, *deny, *common_name, *dns, *uri, *why;
    } rows[] = {
        {"CN=alice", NULL, "alice", NULL, NULL, NULL},
        {"CN=alice", NULL, "Alice", NULL, NULL, NO_CERTIFICATE},
        {"CN=alice", NULL, "alice2", NULL, NULL, NO_CERTIFICATE},
        {"CN=alice", NULL, "alic", NULL, NULL, NO_CERTIFICATE},
        {"CN=alice,CN=bob", NULL, "bob", NULL, NULL, NULL},
        {"CN=alice", NULL, NULL, "alice", NULL, NO_CERTIFICATE},
        {"CN=*", NULL, "alice", NULL, NULL, NO_CERTIFICATE},
        {"DNS:a.example.org", NULL, NULL, "a.example.org", NULL, NULL},
        {"DNS:A.Example.org", NULL, NULL, "a.eXample.org", NULL, NULL},
        {"DNS:*.example.org", NULL, NULL, "a.example.org", NULL, NULL},
        {"DNS:*.example.org", NULL, NULL, "A.EXAMPLE.ORG", NULL, NULL},
        {"DNS:*.example.org", NULL, NULL, "a.b.example.org", NULL, NO_CERTIFICATE},
        {"DNS:*.example.org", NULL, NULL, "example.org", NULL, NO_CERTIFICATE},
        {"DNS:*.example.org", NULL, NULL, ".example.org", NULL, NO_CERTIFICATE},
        {"DNS:*.example.org", NULL, "a.example.org", NULL, NULL, NO_CERTIFICATE},
        {"DNS:a.example.org", NULL, NULL, "*.example.org", NULL, NO_CERTIFICATE},
        {"URI:spiffe://x/a", NULL, NULL, NULL, "spiffe://x/a", NULL},
        {"URI:spiffe://x/a", NULL, NULL, NULL, "spiffe://x/ab", NO_CERTIFICATE},
        {"URI:spiffe://x/*", NULL, NULL, NULL, "spiffe://x/ab", NULL},
        {"URI:spiffe://x/*", NULL, NULL, NULL, "spiffe://y/ab", NO_CERTIFICATE},
        {"URI:*", NULL, NULL, NULL, "any", NULL},
        {"URI:*", NULL, "any", NULL, NULL, NO_CERTIFICATE},
        {NULL, "CN=alice", "alice", NULL, NULL, "--deny CN=alice"},
        {NULL, "CN=alice", "bob", NULL, NULL, NULL},
        {NULL, "DNS:*.x", NULL, "A.x", NULL, "--deny DNS:*.x"},
        {NULL, "URI:a*", NULL, NULL, "abc", "--deny URI:a*"},
        {"CN=alice", "URI:a*", "alice", NULL, "abc", "--deny URI:a*"},
        {"10.0.0.0/8,CN=alice", NULL, "alice", NULL, NULL, NO_ADDRESS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char why[ACCESS_WHY_SIZE] = "";
        struct access *access = access_of(rows[i].allow, rows[i].deny);
        struct address address = address_of("127.0.0.1");
        struct who_certificate certificate = {rows[i].common_name, &rows[i].dns, !!rows[i].dns,
                                              &rows[i].uri, !!rows[i].uri};
        struct access_client client = {&address, -1, &certificate};
        bool allowed = access_allows(access, &client, why);
        if (allowed != !rows[i].why || (!allowed && strcmp(why, rows[i].why) != 0))
            fail_msg("row %zu: %s", i, allowed ? "allowed" : why);
        access_free(access);
    }
}

/* ---- Unix users ---- */

/* The other end of such a socket is this process. */
static void check_user(const char *allow, const char *deny, const char *expected)
{
    int ends[2];
    char why[ACCESS_WHY_SIZE] = "";
    struct address address = {.size = sizeof(sa_family_t), .socket.any.sa_family = AF_UNIX};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct access *access = access_of(allow, deny);
    struct access_client client = {&address, ends[0], NULL};
    assert_int_equal(access_allows(access, &client, why), !expected[0]);
    assert_string_equal(why, expected);
    access_free(access);
    close(ends[0]);
    close(ends[1]);
}

static void rules_for_users(void **state)
{
    (void) state;
    char user[40], group[40], other[40], denied[80];
    snprintf(user, sizeof user, "user:%u", (unsigned) geteuid());
    snprintf(group, sizeof group, "group:%u", (unsigned) getegid());
    snprintf(other, sizeof other, "user:%u", (unsigned) geteuid() + 1);
    check_user(user, NULL, "");
    check_user(group, NULL, "");
    check_user(other, NULL, NO_USER);
    check_user("group:54321", NULL, NO_USER);
    check_user("10.0.0.0/8", "0.0.0.0/0,::/0", "");
    check_user("CN=alice", NULL, NO_CERTIFICATE);
    snprintf(denied, sizeof denied, "--deny %s", user);
    check_user(NULL, user, denied);
    check_user(user, user, denied);
    check_user(NULL, other, "");
    snprintf(denied, sizeof denied, "--deny %s", group);
    check_user(user, group, denied);
    check_user("user:root", geteuid() == 0 ? NULL : "user:root", geteuid() == 0 ? "" : NO_USER);
}

static void who_is_not_known_is_refused_where_users_are_named(void **state)
{
    (void) state;
    char why[ACCESS_WHY_SIZE] = "";
    struct address address = {.size = sizeof(sa_family_t), .socket.any.sa_family = AF_UNIX};
    struct access_client client = {&address, -1, NULL};
    struct access *access = access_of("10.0.0.0/8", NULL);
    assert_true(access_allows(access, &client, why));
    access_free(access);
    access = access_of(NULL, "user:54321");
    assert_false(access_allows(access, &client, why));
    assert_string_equal(why, "nobody knows its user");
    access_free(access);
}

/* ---- proxies, reading anew ---- */

static void proxies_are_addresses_or_unix_sockets(void **state)
{
    (void) state;
    struct error error;
    struct address near = address_of("127.0.0.1"), far = address_of("9.9.9.9");
    struct address local = {.socket.any.sa_family = AF_UNIX};
    assert_false(access_is_proxy(NULL, &near));
    struct access *access = access_new();
    assert_false(access_is_proxy(access, &near));
    assert_true(access_add(access, ACCESS_PROXIES, "127.0.0.0/8", &error));
    assert_true(access_is_proxy(access, &near));
    assert_false(access_is_proxy(access, &far));
    assert_false(access_is_proxy(access, &local));
    assert_true(access_add(access, ACCESS_PROXIES, "unix", &error));
    assert_true(access_is_proxy(access, &local));
    access_free(access);
}

static bool has(struct access *access, const char *text)
{
    char why[ACCESS_WHY_SIZE];
    struct address address = address_of(text);
    struct access_client client = {&address, -1, NULL};
    return access_allows(access, &client, why);
}

static void write_file(int fd, const char *text)
{
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
}

static void files_are_read_anew(void **state)
{
    (void) state;
    char paths[2][sizeof "/tmp/banter-access-XXXXXX"], text[100];
    int fds[2];
    struct error error;
    for (int i = 0; i < 2; i++) {
        strcpy(paths[i], "/tmp/banter-access-XXXXXX");
        fds[i] = mkstemp(paths[i]);
        write_file(fds[i], i ? "" : "10.0.0.0/8\n");
    }
    snprintf(text, sizeof text, "9.9.9.9,@%s,@%s", paths[0], paths[1]);
    struct access *access = access_of(NULL, text);
    struct access_file *files[] = {access_file(access, 0), access_file(access, 1)};
    assert_null(access_file(access, 2));
    assert_string_equal(access_file_name(files[1]), paths[1]);
    assert_false(has(access, "10.1.2.3"));

    /* All that is denied is as before until it is committed, */
    write_file(fds[0], "11.0.0.0/8\n");
    write_file(fds[1], "12.0.0.0/8\n");
    for (int round = 0; round < 2; round++) {
        assert_true(access_prepare(files[0], &error) && access_prepare(files[1], &error));
        assert_false(has(access, "10.1.2.3"));
        for (int i = 0; i < 2; i++)
            round ? access_commit(files[i]) : access_cancel(files[i]);
    }
    assert_true(has(access, "10.1.2.3") && !has(access, "11.1.1.1") && !has(access, "12.1.1.1"));
    assert_false(has(access, "9.9.9.9"));

    /* and stays so if a file can't be used. */
    write_file(fds[1], "13.0.0.0/8\n12.0.0.1/8\n");
    assert_true(access_prepare(files[0], &error));
    assert_false(access_prepare(files[1], &error));
    assert_string_equal(
        error.text, "line 2: \"12.0.0.1/8\" has bits behind its mask: the network is 12.0.0.0/8");
    access_cancel(files[0]);
    assert_int_equal(unlink(paths[0]), 0);
    assert_false(access_prepare(files[0], &error));
    assert_string_equal(error.text, "No such file or directory");
    assert_true(has(access, "10.1.2.3") && !has(access, "11.1.1.1") && has(access, "13.0.0.1"));
    assert_int_equal(unlink(paths[1]), 0);
    close(fds[0]);
    close(fds[1]);
    access_free(access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_for_addresses),
        cmocka_unit_test(rules_for_certificates),
        cmocka_unit_test(rules_for_users),
        cmocka_unit_test(who_is_not_known_is_refused_where_users_are_named),
        cmocka_unit_test(proxies_are_addresses_or_unix_sockets),
        cmocka_unit_test(files_are_read_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
