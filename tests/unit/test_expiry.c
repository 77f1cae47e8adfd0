/*
 * test_expiry: what is said of a certificate at a time, and when to look again.
 */
#include "server/admin/expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { HOUR = 3600, DAY = 24 * HOUR, YEAR = 365 * DAY };

static const struct {
    int64_t life_s, left_s;
    enum expiry_state state;
    int64_t in_s;
} table[] = {
    {YEAR, YEAR, EXPIRY_FAR, HOUR},
    {YEAR, 30 * DAY + HOUR + 1, EXPIRY_FAR, HOUR},
    {YEAR, 30 * DAY + 7, EXPIRY_FAR, 7},
    {YEAR, 30 * DAY, EXPIRY_NEAR, HOUR},
    {90 * DAY, 9 * DAY + 1, EXPIRY_FAR, 1},
    {90 * DAY, 9 * DAY, EXPIRY_NEAR, HOUR},
    {20 * HOUR, 3 * HOUR, EXPIRY_FAR, HOUR},
    {20 * HOUR, 2 * HOUR, EXPIRY_NEAR, HOUR},
    {YEAR, 7, EXPIRY_NEAR, 8},
    {YEAR, 0, EXPIRY_NEAR, 1},
    {YEAR, -1, EXPIRY_OVER, HOUR},
    {YEAR, -YEAR, EXPIRY_OVER, HOUR},
    {0, 10, EXPIRY_FAR, 10},
    {0, 0, EXPIRY_NEAR, 1},
};

static void each_time(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t now_s = INT64_C(1800000000), until_s = now_s + table[i].left_s;
        struct expiry_next next = expiry_next(until_s - table[i].life_s, until_s, now_s);
        if (next.state != table[i].state || next.in_s != table[i].in_s)
            fail_msg("%zu: state %d, in %lld s", i, (int) next.state, (long long) next.in_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
