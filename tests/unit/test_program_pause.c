/* test_program_pause: how long a clock has stood still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/handlers/program/pause.h"

static void test_pauses(void **state)
{
    (void) state;
    static const struct {
        int64_t at_ms;
        char what; /* 'b'egin, 'e'nd, or nothing */
        int64_t sum_ms;
    } steps[] = {
        {100, ' ', 0},  {100, 'e', 0},  {110, 'b', 0},  {110, ' ', 0},
        {115, ' ', 5},  {120, 'b', 10}, {130, 'e', 20}, {140, 'e', 20},
        {140, 'b', 20}, {141, ' ', 21}, {150, 'e', 30}, {900, ' ', 30},
    };
    struct pause pause = {0};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (steps[i].what == 'b')
            pause_begin(&pause, steps[i].at_ms);
        if (steps[i].what == 'e')
            pause_end(&pause, steps[i].at_ms);
        assert_int_equal(pause_ms(&pause, steps[i].at_ms), steps[i].sum_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pauses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
