/* test_decimal: numbers, and the digits that are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/decimal.h"

static void digits_are_written_and_no_more(void **state)
{
    (void) state;
    static const struct {
        uint64_t number;
        const char *text;
    } rows[] = {
        {0, "0"}, {7, "7"}, {10, "10"}, {90210, "90210"}, {UINT64_MAX, "18446744073709551615"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[DECIMAL_MAX_DIGITS + 1];
        memset(text, '#', sizeof text);
        assert_int_equal(decimal_print(text, rows[i].number), strlen(rows[i].text));
        assert_memory_equal(text, rows[i].text, strlen(rows[i].text));
        assert_int_equal(text[strlen(rows[i].text)], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(digits_are_written_and_no_more)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
