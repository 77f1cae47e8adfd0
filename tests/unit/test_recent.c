/*
 * test_recent: what is forgotten after a minute, and what is not before that.
 */
#include "server/admin/recent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/histogram.h"

enum { BEGIN_MS = 777000 };

static struct recent recent;
static struct latency so_far;
static struct latency_counter counter;
static int64_t now_ms;

static int begin(void **state)
{
    (void) state;
    memset(&recent, 0, sizeof recent);
    memset(&counter, 0, sizeof counter);
    now_ms = BEGIN_MS;
    return 0;
}

static void read_counter(void)
{
    memset(&so_far, 0, sizeof so_far);
    latency_sum(&so_far, &counter);
}

/* Marks are asked for as often as they are due, and now and then in between. */
static void pass_ms(int64_t ms)
{
    for (int64_t end_ms = now_ms + ms; now_ms < end_ms; now_ms += 1000) {
        read_counter();
        int64_t next_ms = recent_mark(&recent, &so_far, now_ms);
        assert_true(next_ms > now_ms && next_ms <= now_ms + RECENT_MARK_MS);
    }
}

static uint64_t minute(unsigned parts)
{
    struct latency latency;
    read_counter();
    recent_minute(&recent, &so_far, &latency);
    return parts ? latency_quantile_ns(&latency, parts) : latency.count;
}

static void a_young_server_has_all_of_it(void **state)
{
    (void) state;
    latency_add(&counter, 1000, 3);
    assert_int_equal(minute(0), 3);
    pass_ms(20000);
    latency_add(&counter, 1000, 4);
    assert_int_equal(minute(0), 7);
}

static void a_minute_is_kept(void **state)
{
    (void) state;
    pass_ms(3000);
    latency_add(&counter, 1000, 3);
    pass_ms(60000);
    assert_int_equal(minute(0), 3);
    pass_ms(6000);
    assert_int_equal(minute(0), 0);
}

static void what_is_older_does_not_count(void **state)
{
    (void) state;
    latency_add(&counter, 1000000000, 1000000);
    pass_ms(300000);
    for (int i = 0; i < 99; i++) {
        latency_add(&counter, 1000, 1);
        pass_ms(i % 2 ? 1000 : 0);
    }
    latency_add(&counter, 5000000, 1);
    assert_int_equal(minute(0), 100);
    assert_in_range(minute(HISTOGRAM_WHOLE / 2), 1000, 1000 + 1000 / 16 + 1);
    assert_in_range(minute(HISTOGRAM_WHOLE), 5000000, 5000000 + 5000000 / 16 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_young_server_has_all_of_it, begin),
        cmocka_unit_test_setup(a_minute_is_kept, begin),
        cmocka_unit_test_setup(what_is_older_does_not_count, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
