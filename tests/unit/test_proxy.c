/* test_proxy: headers of both versions, whole, in pieces and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/net/crc32c.h"
#include "server/net/proxy.h"

static enum proxy_result parse(const char *data, size_t size, struct proxy_header *header,
                               size_t *used, const char **why)
{
    /* At the end of what may be read. */
    char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    *used = 0;
    *why = "";
    char *exact = realloc(copy, size ? size : 1);
    enum proxy_result result = proxy_parse(exact, size, header, used, why);
    free(exact);
    return result;
}

/* It is this client's, whatever comes behind it, and incomplete as long as a byte is missing. */
static void check_right(const char *data, size_t size, const char *address, const char *identity)
{
    static const char behind[] = {'\r', '\n', 'X'};
    struct proxy_header header;
    size_t used;
    const char *why;
    char text[ADDRESS_TEXT_SIZE] = "", longer[PROXY_MAX_SIZE + 4];
    for (size_t cut = 0; cut < size; cut++)
        if (parse(data, cut, &header, &used, &why) != PROXY_INCOMPLETE)
            fail_msg("%zu of %zu bytes: %s", cut, size, why);
    memcpy(longer, data, size);
    memcpy(longer + size, behind, sizeof behind);
    for (size_t more = 0; more <= 3; more++) {
        if (parse(longer, size + more, &header, &used, &why) != PROXY_COMPLETE)
            fail_msg("%s: %s", address, why);
        assert_int_equal(used, size);
        assert_int_equal(header.tells, address != NULL);
        if (address) {
            address_print(&header.address, text);
            assert_string_equal(text, address);
        }
        assert_string_equal(header.identity, identity);
        assert_int_equal(header.common_name[0] != '\0', identity[0] != '\0');
    }
}

static void check_wrong(const char *data, size_t size, const char *expected)
{
    struct proxy_header header;
    size_t used;
    const char *why;
    if (parse(data, size, &header, &used, &why) != PROXY_WRONG)
        fail_msg("taken: %s", expected);
    assert_string_equal(why, expected);
    assert_false(header.tells);
}

/* ---- version 1 ---- */

#define V6_MOST "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define NO_ADDRESS "it does not say an address as version 1 does"

static void lines_that_are_right(void **state)
{
    (void) state;
    static const struct {
        const char *line, *address;
    } rows[] = {
        {"PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000\r\n", "10.1.2.3:54012"},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
        {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0"},
        {"PROXY TCP6 ::1 2001:db8::2 1 2\r\n", "[::1]:1"},
        {"PROXY TCP6 " V6_MOST " " V6_MOST " 65535 65535\r\n", "[" V6_MOST "]:65535"},
        {"PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n", "10.0.0.1:1"},
        {"PROXY UNKNOWN\r\n", NULL},
        {"PROXY UNKNOWN " V6_MOST " " V6_MOST " 65535 65535\r\n", NULL}, /* 107 bytes */
        {"PROXY UNKNOWN whatever it says\r\n", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_right(rows[i].line, strlen(rows[i].line), rows[i].address, "");
    assert_int_equal(strlen(rows[7].line), 107);
}

static void lines_that_are_wrong(void **state)
{
    (void) state;
    static const struct {
        const char *line, *why;
    } rows[] = {
        {"GET / HTTP/1.1\r\n", "there is none"},
        {"Zack\n", "there is none"},
        {"PROXy", "there is none"},
        {"P\n", "there is none"},
        {"\r\n\n", "there is none"},
        {"PROXY UNKNOWN " V6_MOST " " V6_MOST " 65535 65535X\r\n", "it is longer than 107 bytes"},
        {"PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000\n", "its line does not end in CR LF"},
        {"PROXY \n", "its line does not end in CR LF"},
        {"PROXY \r\n", NO_ADDRESS},
        {"PROXY TCP4\r\n", NO_ADDRESS},
        {"PROXY UNKNOWNS\r\n", NO_ADDRESS},
        {"PROXY UNIX\r\n", NO_ADDRESS},
        {"PROXY tcp4 10.1.2.3 127.0.0.1 54012 8000\r\n", NO_ADDRESS},
        {"PROXY  TCP4 10.1.2.3 127.0.0.1 54012 8000\r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2.3  127.0.0.1 54012 8000\r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000 \r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2.3 127.0.0.1 54012\r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000\r\r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2.03 127.0.0.1 54012 8000\r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2 127.0.0.1 54012 8000\r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2.256 127.0.0.1 54012 8000\r\n", NO_ADDRESS},
        {"PROXY TCP4 ::1 ::1 54012 8000\r\n", NO_ADDRESS},
        {"PROXY TCP6 10.1.2.3 10.1.2.3 54012 8000\r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2.3 127.0.0.1 65536 8000\r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2.3 127.0.0.1 08 8000\r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2.3 127.0.0.1 +8 8000\r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2.3 127.0.0.1 -8 8000\r\n", NO_ADDRESS},
        {"PROXY TCP4 10.1.2.3 127.0.0.1 8 80000\r\n", NO_ADDRESS},
        {"PROXY TCP6 fe80::1%lo ::1 1 1\r\n", NO_ADDRESS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_wrong(rows[i].line, strlen(rows[i].line), rows[i].why);
    check_wrong("PROXY U\0", 8, "there is a NUL in it");
}

/* ---- version 2 ---- */

static char header[2 * PROXY_MAX_SIZE];
static size_t header_size;

static void add(const char *bytes, size_t size)
{
    memcpy(header + header_size, bytes, size);
    header_size += size;
    size_t more = header_size - 16;
    header[14] = (char) (more >> 8);
    header[15] = (char) more;
}

#define ADD(text) add(text, sizeof(text) - 1)

static void begin(int command, int family)
{
    static const char signature[] = {'\r', '\n', '\r', '\n', '\0', '\r',
                                     '\n', 'Q',  'U',  'I',  'T',  '\n'};
    header_size = 16;
    memcpy(header, signature, sizeof signature);
    header[12] = (char) command;
    header[13] = (char) family;
    add("", 0);
}

static void begin_tcp4(void)
{
    begin(0x21, 0x11);
    ADD("\x0a\x01\x02\x03\x7f\0\0\1\xd2\xfc\x1f\x40");
}

static void add_tlv(int type, const char *value, size_t size)
{
    char head[3] = {(char) type, (char) (size >> 8), (char) size};
    add(head, sizeof head);
    add(value, size);
}

static void add_sum(int off)
{
    add_tlv(3, "\0\0\0\0", 4);
    uint32_t sum = crc32c(0, (const uint8_t *) header, header_size) + (uint32_t) off;
    for (int i = 0; i < 4; i++)
        header[header_size - 4 + (size_t) i] = (char) (sum >> (24 - 8 * i));
}

static void add_ssl(int flags, const char *verify, const char *name, size_t size)
{
    /* With the type of what comes behind it. */
    static const char version[] = {'\x21', 0, 7, 'T', 'L', 'S', 'v', '1', '.', '3', '\x22'};
    char value[600] = {(char) flags};
    memcpy(value + 1, verify, 4);
    memcpy(value + 5, version, sizeof version);
    value[16] = (char) (size >> 8);
    value[17] = (char) size;
    memcpy(value + 18, name, size);
    add_tlv(0x20, value, 18 + size);
}

static void right(const char *address, const char *identity)
{
    check_right(header, header_size, address, identity);
}

static void wrong(const char *why) { check_wrong(header, header_size, why); }

static void the_sum_is_that_of_the_standard(void **state)
{
    (void) state;
    uint8_t zeros[32] = {0};
    assert_int_equal(crc32c(0, (const uint8_t *) "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, sizeof zeros), 0x8a9136aa);
}

static void headers_that_are_right(void **state)
{
    (void) state;
    begin_tcp4();
    right("10.1.2.3:54012", "");
    begin(0x21, 0x21);
    ADD("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
        "\0\1\0\2");
    right("[2001:db8::1]:1", "");
    begin(0x20, 0x00);
    right(NULL, "");
    begin(0x20, 0x11); /* LOCAL: nothing else is looked at */
    ADD("xyz");
    right(NULL, "");
    begin(0x21, 0x00);
    right(NULL, "");
    begin(0x21, 0x00);
    add_ssl(7, "\0\0\0\0", "alice", 5);
    right(NULL, "");
    begin_tcp4();
    add_tlv(4, "padding", 7);
    add_tlv(0xee, "", 0);
    add_sum(0);
    add_tlv(5, "unique", 6);
    wrong("its checksum is wrong"); /* it is of the whole header */
    begin_tcp4();
    add_tlv(5, "", 0);
    add_sum(0);
    right("10.1.2.3:54012", "");
}

static void add_path(const char *path, size_t size)
{
    char room[216] = "";
    memcpy(room, path, size);
    memset(room + 108, 'd', 108);
    add(room, sizeof room);
}

static void unix_sockets(void **state)
{
    (void) state;
    char longest[108], expected[120];
    begin(0x21, 0x31);
    add_path("/run/x", 6);
    right("unix:/run/x", "");
    begin(0x21, 0x31);
    add_path("", 0);
    right("unix:", "");
    begin(0x21, 0x31);
    add_path("\0name", 5);
    right("unix:@name", "");
    begin(0x21, 0x31);
    add_path("/a\0b", 4);
    right("unix:/a", "");
    begin(0x21, 0x31);
    memset(longest, 'x', sizeof longest);
    add_path(longest, sizeof longest);
    snprintf(expected, sizeof expected, "unix:%.108s", longest);
    right(expected, "");
}

static void names_in_certificates(void **state)
{
    (void) state;
    static const struct {
        const char *name, *identity;
    } rows[] = {
        {"alice", "CN=alice"},
        {"alice,O=Banter", "CN=alice\\,O=Banter"},
        {" a b ", "CN=\\ a b\\ "},
        {"#1#", "CN=\\#1#"},
        {"a+b\"c;d<e>f\\g", "CN=a\\+b\\\"c\\;d\\<e\\>f\\\\g"},
        {"\xc3\xa9", "CN=\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_tcp4();
        add_ssl(7, "\0\0\0\0", rows[i].name, strlen(rows[i].name));
        right("10.1.2.3:54012", rows[i].identity);
    }
    /* One that was not verified, or that is not there, says nothing. */
    begin_tcp4();
    add_ssl(7, "\0\0\0\1", "alice", 5);
    right("10.1.2.3:54012", "");
    begin_tcp4();
    add_ssl(1, "\0\0\0\0", "alice", 5);
    right("10.1.2.3:54012", "");
}

static void names_that_are_wrong(void **state)
{
    (void) state;
    char name[300];
    memset(name, 'x', sizeof name);
    begin_tcp4();
    add_ssl(7, "\0\0\0\0", name, 252);
    struct proxy_header parsed;
    size_t used;
    const char *why;
    assert_int_equal(parse(header, header_size, &parsed, &used, &why), PROXY_COMPLETE);
    begin_tcp4();
    add_ssl(7, "\0\0\0\0", name, 255);
    wrong("the name in it is too long");
    begin_tcp4();
    add_ssl(7, "\0\0\0\0", name, 256);
    wrong("the name in it is empty or too long");
    begin_tcp4();
    add_ssl(7, "\0\0\0\0", "", 0);
    wrong("the name in it is empty or too long");
    begin_tcp4();
    add_ssl(7, "\0\0\0\0", "alice\0", 6);
    wrong("the name in it has a NUL");
    memset(name, ',', sizeof name);
    begin_tcp4();
    add_ssl(7, "\0\0\0\0", name, 200);
    wrong("the name in it is too long");
}

static void headers_that_are_wrong(void **state)
{
    (void) state;
    begin(0x11, 0x11);
    wrong("it is of another version or command");
    begin(0x22, 0x11);
    wrong("it is of another version or command");
    begin(0x21, 0x12);
    ADD("\x0a\x01\x02\x03\x7f\0\0\1\xd2\xfc\x1f\x40");
    wrong("it is of no family of stream sockets");
    begin(0x21, 0x32);
    wrong("it is of no family of stream sockets");
    begin(0x21, 0x11);
    ADD("\x0a\x01\x02\x03\x7f\0\0\1\xd2\xfc\x1f");
    wrong("it is too short for its addresses");
    begin_tcp4();
    add_sum(1);
    wrong("its checksum is wrong");
    begin_tcp4();
    add_tlv(3, "123", 3);
    wrong("its checksum is wrong");
    begin_tcp4();
    ADD("\x05\0");
    wrong("its last field is cut off");
    begin_tcp4();
    ADD("\x05\0\1");
    wrong("its last field is cut off");
    begin_tcp4();
    add_tlv(0x20, "1234", 4);
    wrong("what it says of TLS is cut off");
    begin_tcp4();
    add_tlv(0x20, "\7\0\0\0\0\x22\0\1", 8);
    wrong("what it says of TLS is cut off");
}

static void the_longest_header(void **state)
{
    (void) state;
    static char padding[PROXY_MAX_SIZE];
    struct proxy_header parsed;
    size_t used;
    const char *why;
    begin_tcp4();
    add_tlv(4, padding, PROXY_MAX_SIZE - 28 - 3);
    assert_int_equal(header_size, PROXY_MAX_SIZE);
    assert_int_equal(parse(header, header_size, &parsed, &used, &why), PROXY_COMPLETE);
    assert_int_equal(used, PROXY_MAX_SIZE);
    assert_int_equal(parse(header, header_size - 1, &parsed, &used, &why), PROXY_INCOMPLETE);
    begin_tcp4();
    add_tlv(4, padding, PROXY_MAX_SIZE - 28 - 2);
    check_wrong(header, 16, "it is longer than 4096 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_are_right),
        cmocka_unit_test(lines_that_are_wrong),
        cmocka_unit_test(the_sum_is_that_of_the_standard),
        cmocka_unit_test(headers_that_are_right),
        cmocka_unit_test(unix_sockets),
        cmocka_unit_test(names_in_certificates),
        cmocka_unit_test(names_that_are_wrong),
        cmocka_unit_test(headers_that_are_wrong),
        cmocka_unit_test(the_longest_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
