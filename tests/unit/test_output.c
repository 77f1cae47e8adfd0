/* output: what a reply becomes, and how many replies are held. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/output.h"

static const struct {
    bool is_terminal;
    bool is_colored;
    const char *reply;
    const char *written;
} table[] = {
    {false, false, "Hello", "Hello\n"},
    {false, false, "", "\n"},
    {false, false, "a\033b", "a\033b\n"},
    {false, false, "-ERR no", "-ERR no\n"},
    {false, true, "-ERR no", "\033[31m-ERR no\033[0m\n"},
    {false, true, "Hello", "Hello\n"},
    {true, false, "Hello", "Hello\n"},
    {true, false, "a\033b", "a\\x1bb\n"},
    {true, false, "-ERR no", "! -ERR no\n"},
    {true, true, "-ERR no\033[0m", "\033[31m-ERR no\\x1b[0m\033[0m\n"},
};

static void test_replies(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct output output = {.is_terminal = table[i].is_terminal,
                                .is_colored = table[i].is_colored};
        output_reply(&output, table[i].reply, strlen(table[i].reply));
        assert_true(output_is_waiting(&output));
        assert_int_equal(output_unwritten(&output), 1);
        assert_true(buffer_append(&output.buffer, "", 1));
        assert_string_equal(buffer_head(&output.buffer), table[i].written);
        output_fini(&output);
    }
}

static void test_unwritten_replies_are_counted(void **state)
{
    (void) state;
    struct output output = {0};
    assert_int_equal(output_unwritten(&output), 0);
    output_lines(&output, "one\ntwo\n", 8);
    output_reply(&output, "three", 5);
    assert_int_equal(output_unwritten(&output), 3);
    buffer_consume(&output.buffer, 3); /* the first one lacks its end */
    assert_int_equal(output_unwritten(&output), 3);
    buffer_consume(&output.buffer, 1);
    assert_int_equal(output_unwritten(&output), 2);
    output_fini(&output);
}

static void test_nothing_is_added_after_a_failure(void **state)
{
    (void) state;
    struct output output = {.failure = ENOSPC};
    output_reply(&output, "one", 3);
    output_lines(&output, "two\n", 4);
    assert_false(output_is_waiting(&output));
    assert_int_equal(output_unwritten(&output), 0);
    output_fini(&output);
}

/* A reader that is gone is a failure, unless a write is due, which then finds out. */
static void test_a_reader_that_is_gone(void **state)
{
    (void) state;
    struct output output = {0};
    struct pollfd fd;
    output_poll(&output, &fd);
    assert_int_equal(fd.fd, 1);
    assert_int_equal(fd.events, 0);
    output_check(&output, 0);
    assert_int_equal(output.failure, 0);
    output_check(&output, POLLERR);
    assert_int_equal(output.failure, EPIPE);

    struct output waiting = {0};
    output_reply(&waiting, "one", 3);
    output_poll(&waiting, &fd);
    assert_int_equal(fd.events, POLLOUT);
    output_check(&waiting, POLLERR);
    assert_int_equal(waiting.failure, 0);
    output_fini(&waiting);

    struct output file = {.is_file = true};
    output_poll(&file, &fd);
    assert_int_equal(fd.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_unwritten_replies_are_counted),
        cmocka_unit_test(test_nothing_is_added_after_a_failure),
        cmocka_unit_test(test_a_reader_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
