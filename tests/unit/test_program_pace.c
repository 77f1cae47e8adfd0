/* test_program_pace: how many requests are given to a program at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/handlers/program/pace.h"

static void test_as_many_as_fit_a_millisecond(void **state)
{
    (void) state;
    static const struct {
        int64_t turn_us;
        unsigned requests, max, fit;
    } cases[] = {
        {100, 1, 64, 10}, {100, 1, 5, 5},     {100, 10, 64, 64}, {1000, 1, 64, 1},
        {999, 1, 64, 1},  {400, 1, 64, 2},    {90000, 1, 64, 1}, {0, 1, 64, 64},
        {0, 64, 64, 64},  {6400, 64, 64, 10}, {100, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pace pace = {0};
        assert_int_equal(pace_fit(&pace, cases[i].max), 1);
        pace_add(&pace, cases[i].turn_us, cases[i].requests);
        assert_int_equal(pace_fit(&pace, cases[i].max), cases[i].fit);
    }
}

static void test_a_slow_turn_is_believed_at_once(void **state)
{
    (void) state;
    struct pace pace = {0};
    for (int i = 0; i < 20; i++)
        pace_add(&pace, 64, 1);
    assert_int_equal(pace_fit(&pace, 64), 15);
    pace_add(&pace, 80000, 8);
    assert_int_equal(pace_fit(&pace, 64), 1);
    unsigned turns = 0;
    for (; pace_fit(&pace, 64) < 10 && turns < 100; turns++)
        pace_add(&pace, 64, 1);
    assert_in_range(turns, 5, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_as_fit_a_millisecond),
        cmocka_unit_test(test_a_slow_turn_is_believed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
