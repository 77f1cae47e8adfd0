/* exit_status: which of two takes precedence, and the table of --help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/exit_status.h"

/* The contract: the first that applies. */
static const int precedence[] = {64, 68, 77, 69, 74, 76, 75, 65, 1, 0};

#define COUNT (sizeof precedence / sizeof precedence[0])

static void test_precedence(void **state)
{
    (void) state;
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            enum exit_status first = (enum exit_status) precedence[i < j ? i : j];
            assert_int_equal(exit_status_first((enum exit_status) precedence[i],
                                               (enum exit_status) precedence[j]),
                             first);
        }
    }
}

static void test_help_lists_them_in_order(void **state)
{
    (void) state;
    const char *line = exit_status_help;
    for (size_t i = 0; i < COUNT; i++) {
        line = strchr(line, '\n');
        assert_non_null(line);
        line++;
        assert_int_equal(strtol(line, NULL, 10), precedence[i]);
    }
    assert_string_equal(strchr(line, '\n'), "\n"); /* no more than these */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_help_lists_them_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
