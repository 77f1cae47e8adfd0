/*
 * test_ascii: every byte, as the C locale has it; also where char is signed.
 */
#include "common/ascii.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void white_is_what_the_c_locale_calls_space(void **state)
{
    (void) state;
    for (int byte = 0; byte < 256; byte++)
        if (ascii_is_white((char) byte) != (byte < 0x80 && isspace(byte)))
            fail_msg("byte 0x%02x", (unsigned) byte);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(white_is_what_the_c_locale_calls_space)};
    return cmocka_run_group_tests_name("ascii", tests, NULL, NULL);
}
