/* What is written for NATS on the command line and on the wire, against tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/nats/words.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- SERVERS/SUBJECT[#N] ---- */

/* The service as one text: its servers, those for TLS with a plus, its subject and shards. */
static void describe(const struct words_service *service, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");
    assert_non_null(out);
    for (unsigned i = 0; i < service->server_count; i++)
        fprintf(out, "%s%s ", service->servers[i].tls ? "+" : "", service->servers[i].address);
    fprintf(out, "%s %u", service->subject, service->shards);
    fclose(out);
}

static void test_parse(void **state)
{
    (void) state;
    static const struct {
        const char *text, *expected;
    } table[] = {
        {"n1/upper", "n1:4222 upper 0"},
        {"n1:4000/upper", "n1:4000 upper 0"},
        {"n1,n2:1,n3/a.b.c", "n1:4222 n2:1 n3:4222 a.b.c 0"},
        {"127.0.0.1/x", "127.0.0.1:4222 x 0"},
        {"[::1]/x", "[::1]:4222 x 0"},
        {"[::1]:5/x", "[::1]:5 x 0"},
        {"tls://n1/x", "+n1:4222 x 0"},
        {"tls://[::1]:7,n2/x", "+[::1]:7 n2:4222 x 0"},
        {"n1,tls://n2:5/x#3", "n1:4222 +n2:5 x 3"},
        {"n1/x#1", "n1:4222 x 1"},
        {"n1/x#10000", "n1:4222 x 10000"},
        {"n1/a/b", "n1:4222 a/b 0"},
        {"n1/-$_\xc3\xa4", "n1:4222 -$_\xc3\xa4 0"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct words_service service;
        struct error error = {""};
        char text[300];
        if (!words_parse(&service, table[i].text, &error))
            fail_msg("%s: %s", table[i].text, error.text);
        describe(&service, text, sizeof text);
        assert_string_equal(text, table[i].expected);
    }
}

static void test_malformed(void **state)
{
    (void) state;
    static const struct {
        const char *text, *why;
    } table[] = {
        {"", "the subject is missing"},
        {"n1", "the subject is missing"},
        {"tls://n1", "the subject is missing"},
        {"/x", "a server's name is missing"},
        {"n1,/x", "a server's name is missing"},
        {",n1/x", "a server's name is missing"},
        {"tls:///x", "a server's name is missing"},
        {"n1:/x", "a server is no HOST"},
        {"n1:0/x", "a server is no HOST"},
        {"n1:65536/x", "a server is no HOST"},
        {":4222/x", "a server is no HOST"},
        {"unix:a/x", "a server is no HOST"},
        {"nats://n1/x", "a server is no HOST"},
        {"tls:n1/x", "a server is no HOST"},
        {"n 1/x", "a server is no HOST"},
        {"[::1/x", "a server is no HOST"},
        {"::1/x", "a server is no HOST"},
        {"n1/", "the subject has an empty token"},
        {"n1/#3", "the subject has an empty token"},
        {"n1/a..b", "the subject has an empty token"},
        {"n1/.a", "the subject has an empty token"},
        {"n1/a.", "the subject has an empty token"},
        {"n1/a.*", "a wildcard"},
        {"n1/>", "a wildcard"},
        {"n1/a b", "a blank"},
        {"n1/a\tb", "a blank"},
        {"n1/a\x7f", "a blank"},
        {"n1/a#", "behind # there must be"},
        {"n1/a#0", "behind # there must be"},
        {"n1/a#01", "behind # there must be"},
        {"n1/a#10001", "behind # there must be"},
        {"n1/a#99999999999", "behind # there must be"},
        {"n1/a#2x", "behind # there must be"},
        {"n1/a#2#3", "behind # there must be"},
        {"a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a/x", "32 servers"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct words_service service;
        struct error error = {""};
        if (words_parse(&service, table[i].text, &error))
            fail_msg("%s was taken", table[i].text);
        if (!strstr(error.text, table[i].why))
            fail_msg("%s: %s", table[i].text, error.text);
    }
}

/* The longest subject, and one more. */
static void test_longest(void **state)
{
    (void) state;
    enum { LONGEST = WORDS_SUBJECT_SIZE - 6 };
    char text[WORDS_SUBJECT_SIZE + 16] = "n1/";
    char shard[WORDS_SUBJECT_SIZE];
    struct words_service service;
    struct error error;
    memset(text + 3, 'x', LONGEST);
    strcpy(text + 3 + LONGEST, "#10000");
    assert_true(words_parse(&service, text, &error));
    words_shard(&service, 9999, shard);
    assert_int_equal(strlen(shard), LONGEST + 5);
    memset(text + 3, 'x', LONGEST + 1);
    text[3 + LONGEST + 1] = '\0';
    assert_false(words_parse(&service, text, &error));
}

static void test_shards(void **state)
{
    (void) state;
    struct words_service one = {.subject = "a.b"}, three = {.subject = "a.b", .shards = 3};
    char text[WORDS_SUBJECT_SIZE];
    assert_string_equal(words_shard(&one, 0, text), "a.b");
    assert_string_equal(words_shard(&three, 0, text), "a.b.0");
    assert_string_equal(words_shard(&three, 2, text), "a.b.2");
}

static void test_names(void **state)
{
    (void) state;
    char text[WORDS_GONE_SIZE];
    assert_string_equal(words_name("upper.v2.x", text), "upper_v2_x");
    assert_string_equal(words_gone("upper.v2", text), "_INBOX.gone.upper.v2");
}

/* ---- inboxes ---- */

static void test_inbox(void **state)
{
    (void) state;
    unsigned char random[WORDS_INBOX_RANDOM] = {0, 1, 0xab, 0xff};
    char inbox[WORDS_INBOX_SIZE], reply[WORDS_REPLY_SIZE];
    words_inbox(random, inbox);
    assert_string_equal(inbox, "_INBOX.0001abff000000000000000000000000");
    struct words_token token = {UINT32_MAX, UINT32_MAX, UINT32_MAX}, read;
    words_reply_subject(inbox, &token, reply);
    assert_string_equal(reply,
                        "_INBOX.0001abff000000000000000000000000.4294967295-4294967295-4294967295");
    assert_int_equal(strlen(reply), WORDS_REPLY_SIZE - 1);
    assert_true(words_read_token(reply + strlen(inbox) + 1, &read));
    assert_memory_equal(&read, &token, sizeof read);
}

static void test_tokens(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        bool good;
        struct words_token token;
    } table[] = {
        {"0-0-1", true, {0, 0, 1}},
        {"12-7-3", true, {12, 7, 3}},
        {"", false, {0}},
        {"1", false, {0}},
        {"1-2", false, {0}},
        {"1-2-", false, {0}},
        {"1-2-3-", false, {0}},
        {"1-2-3-4", false, {0}},
        {"1-2-3 ", false, {0}},
        {" 1-2-3", false, {0}},
        {"-1-2-3", false, {0}},
        {"01-2-3", false, {0}},
        {"1-00-3", false, {0}},
        {"1-2-4294967296", false, {0}},
        {"99999999999999999999999-2-3", false, {0}},
        {"a-b-c", false, {0}},
        {"1.2.3", false, {0}},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct words_token token;
        if (words_read_token(table[i].text, &token) != table[i].good)
            fail_msg("%s", table[i].text);
        if (table[i].good)
            assert_memory_equal(&token, &table[i].token, sizeof token);
    }
}

static void test_statuses(void **state)
{
    (void) state;
    static const struct {
        const char *code;
        unsigned status;
    } table[] = {
        {"busy", 429},     {"bad-request", 400},    {"not-utf8", 400},
        {"too-long", 413}, {"unavailable", 503},    {"handler-timeout", 504},
        {"own", 500},      {"handler-failed", 500}, {"", 500},
        {"bus", 500},      {"busyy", 500},
    };
    for (size_t i = 0; i < COUNT(table); i++)
        assert_int_equal(words_status(table[i].code, strlen(table[i].code)), table[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),   cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_longest), cmocka_unit_test(test_shards),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_inbox),
        cmocka_unit_test(test_tokens),  cmocka_unit_test(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
