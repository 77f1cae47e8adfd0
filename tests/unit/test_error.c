/*
 * test_error: the text is a string whatever is put into it.
 */
#include "common/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void an_error_is_a_text_and_false(void **state)
{
    (void) state;
    struct error error;
    assert_false(error_set(&error, "unable to open %s: %s", "FILE", "no such file"));
    assert_string_equal(error.text, "unable to open FILE: no such file");

    /* A longer one is cut, and is a string. */
    char longer[2 * sizeof error.text];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_false(error_set(&error, "%s", longer));
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_error_is_a_text_and_false)};
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
