/* test_who: what can be named, and what is said about the rest. */
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

#include "server/net/who.h"

#define CLIENTS                                                                                    \
    " is none of: an address, a network such as 10.0.0.0/8, user:NAME, group:NAME, CN=TEXT, "      \
    "DNS:TEXT, URI:TEXT, @FILE"
#define PROXIES " is none of: an address, a network such as 10.0.0.0/8, unix, @FILE"
#define COMMA "there is nothing in front of a comma, or behind it"

static void what_is_refused(void **state)
{
    (void) state;
    static const struct {
        enum who_kind kind;
        const char *text, *error;
    } rows[] = {
        {WHO_CLIENTS, "nobody", "\"nobody\"" CLIENTS},
        {WHO_CLIENTS, "unix", "\"unix\"" CLIENTS},
        {WHO_CLIENTS, "cn=alice", "\"cn=alice\"" CLIENTS},
        {WHO_CLIENTS, "", "\"\"" CLIENTS},
        {WHO_CLIENTS, "@file", "\"@file\"" CLIENTS},
        {WHO_CLIENTS, " 10.0.0.1", "\" 10.0.0.1\"" CLIENTS},
        {WHO_CLIENTS, "10.0.0", "\"10.0.0\"" CLIENTS},
        {WHO_CLIENTS, "10.0.0.01", "\"10.0.0.01\"" CLIENTS},
        {WHO_CLIENTS, "10.0.0.256", "\"10.0.0.256\"" CLIENTS},
        {WHO_CLIENTS, "10.0.0.1:80", "\"10.0.0.1:80\"" CLIENTS},
        {WHO_CLIENTS, "[::1]", "\"[::1]\"" CLIENTS},
        {WHO_CLIENTS, "fe80::1%lo", "\"fe80::1%lo\"" CLIENTS},
        {WHO_CLIENTS, "10.0.0.0/", "\"10.0.0.0/\" has no mask of 0 to 32 bits"},
        {WHO_CLIENTS, "10.0.0.0/33", "\"10.0.0.0/33\" has no mask of 0 to 32 bits"},
        {WHO_CLIENTS, "10.0.0.0/08", "\"10.0.0.0/08\" has no mask of 0 to 32 bits"},
        {WHO_CLIENTS, "10.0.0.0/+8", "\"10.0.0.0/+8\" has no mask of 0 to 32 bits"},
        {WHO_CLIENTS, "10.0.0.0/8/8", "\"10.0.0.0/8/8\" has no mask of 0 to 32 bits"},
        {WHO_CLIENTS, "10.0.0.0/255.0.0.0", "\"10.0.0.0/255.0.0.0\" has no mask of 0 to 32 bits"},
        {WHO_CLIENTS, "::/129", "\"::/129\" has no mask of 0 to 128 bits"},
        {WHO_CLIENTS, "::/1000", "\"::/1000\" has no mask of 0 to 128 bits"},
        {WHO_CLIENTS, "10.0.0.1/8",
         "\"10.0.0.1/8\" has bits behind its mask: the network is 10.0.0.0/8"},
        {WHO_CLIENTS, "1.2.3.4/0",
         "\"1.2.3.4/0\" has bits behind its mask: the network is 0.0.0.0/0"},
        {WHO_CLIENTS, "2001:db8::1/32",
         "\"2001:db8::1/32\" has bits behind its mask: the network is 2001:db8::/32"},
        {WHO_CLIENTS, "2001:db8::ffff/126",
         "\"2001:db8::ffff/126\" has bits behind its mask: the network is 2001:db8::fffc/126"},
        {WHO_CLIENTS, "::ffff:10.0.0.1/104",
         "\"::ffff:10.0.0.1/104\" has bits behind its mask: the network is 10.0.0.0/8"},
        {WHO_CLIENTS, "::ffff:10.0.0.0/64",
         "\"::ffff:10.0.0.0/64\" is mapped from IPv4: its mask has 96 bits or more"},
        {WHO_CLIENTS, "user:", "\"user:\" has no name"},
        {WHO_CLIENTS, "group:", "\"group:\" has no name"},
        {WHO_CLIENTS, "CN=", "\"CN=\" has no name"},
        {WHO_CLIENTS, "DNS:", "\"DNS:\" has no name"},
        {WHO_CLIENTS, "URI:", "\"URI:\" has no name"},
        {WHO_CLIENTS, "user:no-such-user",
         "\"user:no-such-user\" is unknown: there is no such user"},
        {WHO_CLIENTS, "group:no-such-group",
         "\"group:no-such-group\" is unknown: there is no such group"},
        {WHO_CLIENTS, "user:4294967295", "\"user:4294967295\" is unknown: there is no such user"},
        {WHO_CLIENTS, "DNS:a*.org", "\"DNS:a*.org\" has a star that is not its first label"},
        {WHO_CLIENTS, "DNS:*.*.org", "\"DNS:*.*.org\" has a star that is not its first label"},
        {WHO_CLIENTS, "DNS:*", "\"DNS:*\" has a star that is not its first label"},
        {WHO_CLIENTS, "a\nb", "\"a\\x0ab\"" CLIENTS},
        {WHO_PROXIES, "user:root", "\"user:root\"" PROXIES},
        {WHO_PROXIES, "CN=alice", "\"CN=alice\"" PROXIES},
        {WHO_PROXIES, "unix:/path", "\"unix:/path\"" PROXIES},
        {WHO_PROXIES, "Unix", "\"Unix\"" PROXIES},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct who who = {0};
        struct error error = {""};
        if (who_add(&who, rows[i].kind, rows[i].text, &error))
            fail_msg("taken: %s", rows[i].text);
        assert_string_equal(error.text, rows[i].error);
        who_fini(&who);
    }
}

static void items_have_commas_between(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        unsigned count;    /* of items before the end or the error */
        const char *error; /* NULL: none */
    } rows[] = {
        {"a", 1, NULL},          {"a,b,@c", 3, NULL}, {"", 0, COMMA},     {",", 0, COMMA},
        {"10.0.0.1,", 1, COMMA}, {",a", 0, COMMA},    {"a,,b", 1, COMMA},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = rows[i].text;
        char item[WHO_ITEM_MAX + 1];
        struct error error = {""};
        unsigned count = 0;
        while (who_next(&text, item, &error))
            count++;
        assert_int_equal(count, rows[i].count);
        assert_int_equal(text == NULL, rows[i].error == NULL);
        assert_string_equal(error.text, rows[i].error ? rows[i].error : "");
    }
}

static void an_item_may_be_long_but_not_too_long(void **state)
{
    (void) state;
    char text[WHO_ITEM_MAX + 2], item[WHO_ITEM_MAX + 1];
    const char *rest = text;
    struct error error;
    memset(text, 'x', sizeof text);
    text[WHO_ITEM_MAX] = '\0';
    assert_true(who_next(&rest, item, &error));
    assert_string_equal(item, text);
    text[WHO_ITEM_MAX] = 'x';
    text[WHO_ITEM_MAX + 1] = '\0';
    rest = text;
    assert_false(who_next(&rest, item, &error));
    assert_non_null(strstr(error.text, "is too long"));
}

static void add_all(struct who *who, const char *text)
{
    char item[WHO_ITEM_MAX + 1];
    struct error error;
    while (who_next(&text, item, &error))
        if (!who_add(who, WHO_CLIENTS, item, &error))
            fail_msg("%s", error.text);
    who_ready(who);
}

/* ---- files ---- */

static void write_file(char *path, const char *text, size_t size)
{
    strcpy(path, "/tmp/banter-who-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), size);
    close(fd);
}

static bool has_v4(const struct who *who, const char *text)
{
    char found[WHO_TEXT_SIZE];
    struct address address = {.size = sizeof address.socket.v4, .socket.v4.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, text, &address.socket.v4.sin_addr), 1);
    return who_has_address(who, &address, found);
}

static void a_file_has_one_a_line(void **state)
{
    (void) state;
    static const char lines[] = "# offices\n"
                                "10.0.0.0/8\r\n"
                                "\n"
                                "\t 11.0.0.0/8  # the second\n"
                                "CN=alice, of #1\n"
                                "   # nothing\n"
                                "12.0.0.0/8";
    char path[40], found[WHO_TEXT_SIZE];
    struct who who = {0};
    struct error error;
    write_file(path, lines, sizeof lines - 1);
    if (!who_add_file(&who, WHO_CLIENTS, path, &error))
        fail_msg("%s", error.text);
    add_all(&who, "9.0.0.0/8,13.0.0.0/8");
    assert_int_equal(who.v4.count, 5);
    assert_true(has_v4(&who, "9.1.1.1") && has_v4(&who, "10.1.1.1") && has_v4(&who, "11.1.1.1"));
    assert_true(has_v4(&who, "12.1.1.1") && has_v4(&who, "13.1.1.1") && !has_v4(&who, "14.1.1.1"));
    struct who_certificate certificate = {.common_name = "alice, of"};
    assert_true(who_has_certificate(&who, &certificate, found));
    assert_string_equal(found, "CN=alice, of");
    who_fini(&who);
    unlink(path);
}

static void a_wrong_line_is_named(void **state)
{
    (void) state;
    static const struct {
        const char *lines;
        size_t size;
        const char *error;
    } rows[] = {
#define LINES(text) text, sizeof(text) - 1
        {LINES("10.0.0.0/8\n10.0.0.1/8\n"),
         "line 2: \"10.0.0.1/8\" has bits behind its mask: the network is 10.0.0.0/8"},
        {LINES("10.0.0.0/8,11.0.0.0/8"),
         "line 1: \"10.0.0.0/8,11.0.0.0/8\" has no mask of 0 to 32 bits"},
        {LINES("# x\n\n@/etc/passwd\n"), "line 3: \"@/etc/passwd\" is a file in a file"},
        {LINES("10.0.0.1\n10.0.0.2\0\n"), "line 2: there is a NUL in it"},
        {LINES("10.0.0.1#x\n"), "line 1: \"10.0.0.1#x\"" CLIENTS},
#undef LINES
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[40];
        struct who who = {0};
        struct error error;
        write_file(path, rows[i].lines, rows[i].size);
        assert_false(who_add_file(&who, WHO_CLIENTS, path, &error));
        assert_string_equal(error.text, rows[i].error);
        who_fini(&who);
        unlink(path);
    }
}

/* ---- users ---- */

static void users_and_groups(void **state)
{
    (void) state;
    static const gid_t groups[] = {7, 8, 9};
    static const struct {
        const char *set;
        uid_t uid;
        size_t groups;
        const char *found; /* NULL: it is not in the set */
    } rows[] = {
        {"user:1000", 1000, 1, "user:1000"}, {"user:1000", 7, 1, NULL},
        {"group:7", 1000, 1, "group:7"},     {"group:9", 1000, 3, "group:9"},
        {"group:9", 1000, 2, NULL},          {"group:9", 9, 1, NULL},
        {"user:root", 0, 1, "user:root"},    {"user:1,user:2,group:8", 3, 2, "group:8"},
        {"10.0.0.0/8,CN=root", 0, 3, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char found[WHO_TEXT_SIZE];
        struct who who = {0};
        struct who_user user = {rows[i].uid, groups, rows[i].groups};
        add_all(&who, rows[i].set);
        assert_int_equal(who_has_user(&who, &user, found), rows[i].found != NULL);
        if (rows[i].found)
            assert_string_equal(found, rows[i].found);
        who_fini(&who);
    }
}

/* ---- many ---- */

static uint32_t next_random(uint32_t *state) { return *state = *state * 1664525 + 1013904223; }

/* Against a search through all of them. */
static void many_networks_are_searched_right(void **state)
{
    (void) state;
    enum { COUNT = 300, TRIES = 3000 };
    uint32_t seed = 1;
    for (int round = 0; round < 20; round++) {
        struct network all[COUNT];
        struct networks set = {0};
        for (int i = 0; i < COUNT; i++) {
            uint64_t part = next_random(&seed) & 0xff;
            all[i] = (struct network){part << 60, part << 4 | (part & 1) << 63,
                                      (uint8_t) (next_random(&seed) >> 8) % (NETWORK_BITS + 1)};
            network_mask(&all[i]);
            if (all[i].bits == 0 && round > 0)
                all[i].bits = 1;
            assert_true(networks_add(&set, all[i]));
        }
        networks_sort(&set);
        for (int i = 0; i < TRIES; i++) {
            struct network address = {(uint64_t) next_random(&seed) << 60,
                                      next_random(&seed) & 0xfff, NETWORK_BITS};
            bool expected = false;
            for (int k = 0; k < COUNT && !expected; k++) {
                struct network masked = address;
                masked.bits = all[k].bits;
                network_mask(&masked);
                expected = masked.high == all[k].high && masked.low == all[k].low;
            }
            assert_int_equal(networks_find(&set, address) != NULL, expected);
        }
        networks_fini(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(items_have_commas_between),
        cmocka_unit_test(an_item_may_be_long_but_not_too_long),
        cmocka_unit_test(a_file_has_one_a_line),
        cmocka_unit_test(a_wrong_line_is_named),
        cmocka_unit_test(users_and_groups),
        cmocka_unit_test(many_networks_are_searched_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
