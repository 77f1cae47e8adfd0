/*
 * test_hello: the handler hello alone, called as the server calls it, with a reply of the test's.
 *
 * Python is the judge: what it makes of each code point is asked when the test runs. There are a
 * million of them, twice; through sockets, test_server_hello.py asks only for the interesting ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <banter/handler.h>

/* server/handlers/kinds.h declares it too, and would bring the whole server with it. */
extern const struct banter_handler handler_hello_functions;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- a reply ---- */

struct banter_reply {
    char bytes[128];
    size_t size;
    bool refused;
};

char *banter_reply_room(struct banter_reply *reply, size_t size)
{
    assert_true(size <= sizeof reply->bytes - reply->size);
    return reply->bytes + reply->size;
}

void banter_reply_added(struct banter_reply *reply, size_t size) { reply->size += size; }

bool banter_reply_append(struct banter_reply *reply, const void *data, size_t size)
{
    if (size > 0)
        memcpy(banter_reply_room(reply, size), data, size);
    banter_reply_added(reply, size);
    return true;
}

void banter_reply_refuse(struct banter_reply *reply, const char *code, const char *format, ...)
{
    (void) code;
    (void) format;
    reply->refused = true;
}

static struct banter_reply hello(const char *message, size_t size)
{
    struct banter_reply reply = {.size = 0};
    handler_hello_functions.handle(NULL, message, size, &reply);
    return reply;
}

/* ---- what Python says ---- */

/* A code point that str.rstrip() and str.upper() change. The texts are hexadecimal digits of UTF-8;
 * "-" is an empty one. */
struct changed {
    unsigned point;
    char middle[32]; /* what it becomes between "a" and "z" */
    char end[32];    /* what it becomes behind "a" */
};

static struct changed *changed;
static size_t changed_count;

#define PYTHON "exec \"${PYTHON:-/usr/bin/python3}\" -c '"
#define SCRIPT                                                                                     \
    "import sys\n"                                                                                 \
    "for number in range(sys.maxunicode + 1):\n"                                                   \
    "    if 0xD800 <= number < 0xE000:\n"                                                          \
    "        continue\n"                                                                           \
    "    point = chr(number)\n"                                                                    \
    "    middle = (\"a\" + point + \"z\").rstrip().upper()[1:-1]\n"                                \
    "    end = (\"a\" + point).rstrip().upper()[1:]\n"                                             \
    "    if middle != point or end != point:\n"                                                    \
    "        print(\"%x\" % number, *(text.encode().hex() or \"-\" for text in (middle, end)))\n"

static int ask_python(void **state)
{
    (void) state;
    FILE *python = popen(PYTHON SCRIPT "'", "r");
    if (!python)
        return -1;
    size_t room = 0;
    char line[128];
    while (fgets(line, sizeof line, python)) {
        if (changed_count == room) {
            room = room ? 2 * room : 1024;
            changed = realloc(changed, room * sizeof *changed);
            if (!changed)
                return -1;
        }
        struct changed *next = &changed[changed_count++];
        char *rest;
        next->point = (unsigned) strtoul(line, &rest, 16);
        if (sscanf(rest, " %31s %31s", next->middle, next->end) != 2)
            return -1;
    }
    return pclose(python);
}

static int forget(void **state)
{
    (void) state;
    free(changed);
    return 0;
}

/* ---- every code point ---- */

static size_t encode(unsigned point, char *out)
{
    if (point < 0x80) {
        out[0] = (char) point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, point >>= 6)
        out[i] = (char) (0x80 | (point & 0x3f));
    out[0] = (char) (0xf00 >> size | point);
    return size;
}

static size_t decode_hex(const char *digits, char *out)
{
    static const char all[] = "0123456789abcdef";
    size_t size = 0;
    for (; *digits && *digits != '-'; digits += 2)
        out[size++] = (char) ((strchr(all, digits[0]) - all) << 4 | (strchr(all, digits[1]) - all));
    return size;
}

static void check(unsigned point, const struct changed *as_changed, bool in_the_middle)
{
    char message[8] = "a";
    size_t size = 1 + encode(point, message + 1);
    char expected[32] = "Hello A";
    size_t expected_size = strlen(expected);
    if (as_changed) {
        expected_size += decode_hex(in_the_middle ? as_changed->middle : as_changed->end,
                                    expected + expected_size);
    } else {
        memcpy(expected + expected_size, message + 1, size - 1);
        expected_size += size - 1;
    }
    if (in_the_middle) {
        message[size++] = 'z';
        expected[expected_size++] = 'Z';
    }
    struct banter_reply reply = hello(message, size);
    if (reply.refused || reply.size != expected_size ||
        memcmp(reply.bytes, expected, expected_size) != 0)
        fail_msg("U+%04X%s: \"%.*s\", not \"%.*s\"", point, in_the_middle ? ", z" : "",
                 (int) reply.size, reply.bytes, (int) expected_size, expected);
}

/* Where programs are instrumented, one in seven and all that Python changes. */
static void check_all(bool in_the_middle)
{
    unsigned step = getenv("BANTER_SLOW") ? 7 : 1;
    const struct changed *next = changed, *end = changed + changed_count;
    for (unsigned point = 0; point <= 0x10ffff; point++) {
        if (point >= 0xd800 && point < 0xe000)
            continue;
        if (next < end && next->point == point)
            check(point, next++, in_the_middle);
        else if (point % step == 0)
            check(point, NULL, in_the_middle);
    }
    assert_ptr_equal(next, end);
}

static void test_every_code_point_in_the_middle(void **state)
{
    (void) state;
    assert_true(changed_count > 1000);
    check_all(true);
}

static void test_every_code_point_at_the_end(void **state)
{
    (void) state;
    check_all(false);
}

/* ---- ASCII ---- */

/* It is upper-cased by sixteen bytes at a time, eight and four: no byte may change another. */
static void test_ascii_at_every_place(void **state)
{
    (void) state;
    static const char around[] = {'a', 'z', '@', '[', '`', '{', '\0', '~'};
    for (size_t size = 1; size <= 33; size++)
        for (size_t place = 0; place < size; place++)
            for (int byte = 0; byte < 0x80; byte++)
                for (size_t i = 0; i < COUNT(around); i++) {
                    char message[34], expected[6 + 34] = "Hello ";
                    memset(message, around[i], sizeof message);
                    message[place] = (char) byte;
                    message[size] = '.'; /* so that no white space is at the end */
                    for (size_t j = 0; j <= size; j++) {
                        char sent = message[j];
                        expected[6 + j] = (char) (sent >= 'a' && sent <= 'z' ? sent - 0x20 : sent);
                    }
                    struct banter_reply reply = hello(message, size + 1);
                    assert_int_equal(reply.size, 6 + size + 1);
                    assert_memory_equal(reply.bytes, expected, reply.size);
                }
}

/* One character that is not ASCII makes the whole text Unicode, wherever it is. */
static void test_unicode_at_every_place(void **state)
{
    (void) state;
    for (size_t size = 0; size <= 40; size++)
        for (size_t place = 0; place <= size; place++) {
            char message[48], expected[6 + 48] = "Hello ";
            memset(message, 'a', sizeof message);
            memset(expected + 6, 'A', sizeof message);
            message[place] = expected[6 + place] = '\303'; /* u with two dots, and U */
            message[place + 1] = '\274';
            expected[6 + place + 1] = '\234';
            struct banter_reply reply = hello(message, size + 2);
            assert_false(reply.refused);
            assert_int_equal(reply.size, 6 + size + 2);
            assert_memory_equal(reply.bytes, expected, reply.size);
            /* A lone byte of it is no character. */
            message[place + 1] = 'a';
            assert_true(hello(message, size + 2).refused);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_point_in_the_middle),
        cmocka_unit_test(test_every_code_point_at_the_end),
        cmocka_unit_test(test_ascii_at_every_place),
        cmocka_unit_test(test_unicode_at_every_place),
    };
    return cmocka_run_group_tests(tests, ask_python, forget);
}
