/* repeats: which errors are written, and which are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/buffer.h"
#include "server/log/repeats.h"
#include "server/log/render.h"

#define MS INT64_C(1000000)

/* Takes `count` events, a millisecond apart; returns how many are written. */
static unsigned take(struct repeats *repeats, enum log_event event, int64_t from_ms, unsigned count)
{
    unsigned written = 0;
    for (unsigned i = 0; i < count; i++)
        written += repeats_take(repeats, event, (from_ms + i) * MS);
    return written;
}

static void assert_next(struct repeats *repeats, int64_t now_ms, enum log_event event,
                        uint64_t left_out)
{
    enum log_event found;
    uint64_t count;
    assert_true(repeats_next(repeats, now_ms * MS, &found, &count));
    assert_int_equal(found, event);
    assert_int_equal(count, left_out);
}

static void assert_none(struct repeats *repeats, int64_t now_ns)
{
    enum log_event event;
    uint64_t count;
    assert_false(repeats_next(repeats, now_ns, &event, &count));
}

static void only_errors_are_limited(void **state)
{
    (void) state;
    static const struct {
        enum log_event event;
        unsigned written; /* of 100 */
    } rows[] = {{LOG_TOO_LONG, 10},   {LOG_HANDLER_FAILED, 10},  {LOG_ACCEPT_FAILED, 10},
                {LOG_BUSY, 10},       {LOG_WORKER_LOST, 10},     {LOG_WORKER, 100},
                {LOG_PROCESSED, 100}, {LOG_CONNECTED, 100},      {LOG_LISTENING, 100},
                {LOG_STOPPED, 100},   {LOG_WORKER_STARTED, 100}, {LOG_RELOAD_FAILED, 100}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct repeats repeats = {0};
        assert_int_equal(take(&repeats, rows[i].event, 5000, 100), rows[i].written);
        assert_int_equal(repeats_due_ns(&repeats), rows[i].written < 100 ? 6000 * MS : INT64_MAX);
    }
}

static void a_second_begins_with_the_first_error(void **state)
{
    (void) state;
    struct repeats repeats = {0};
    assert_int_equal(take(&repeats, LOG_BUSY, 0, 10), 10);
    assert_int_equal(take(&repeats, LOG_BUSY, 990, 10), 0);
    assert_none(&repeats, 999 * MS);
    assert_next(&repeats, 1000, LOG_BUSY, 10);
    assert_none(&repeats, INT64_MAX);
    assert_int_equal(take(&repeats, LOG_BUSY, 1000, 11), 10);
    assert_int_equal(take(&repeats, LOG_BUSY, 9000, 1), 1);
}

static void each_kind_has_its_own(void **state)
{
    (void) state;
    struct repeats repeats = {0};
    assert_int_equal(take(&repeats, LOG_BUSY, 0, 12), 10);
    assert_int_equal(take(&repeats, LOG_TOO_LONG, 500, 13), 10);
    assert_int_equal(repeats_due_ns(&repeats), 1000 * MS);
    assert_next(&repeats, 1499, LOG_BUSY, 2);
    assert_none(&repeats, 1499 * MS);
    assert_int_equal(repeats_due_ns(&repeats), 1500 * MS);
    assert_next(&repeats, 1500, LOG_TOO_LONG, 3);
    assert_int_equal(repeats_due_ns(&repeats), INT64_MAX);
}

static void at_the_end_all_that_were_left_out_are_told(void **state)
{
    (void) state;
    struct repeats repeats = {0};
    assert_none(&repeats, INT64_MAX);
    take(&repeats, LOG_BUSY, 0, 12);
    take(&repeats, LOG_TOO_LONG, 1, 13);
    assert_next(&repeats, INT64_MAX / MS, LOG_TOO_LONG, 3);
    assert_next(&repeats, INT64_MAX / MS, LOG_BUSY, 2);
    assert_none(&repeats, INT64_MAX);
}

static void what_they_are_called(void **state)
{
    (void) state;
    static const struct {
        enum log_event event;
        const char *line;
    } rows[] = {
        {LOG_TOO_LONG, "7 more within a second: The input size is greater than expected\n"},
        {LOG_HANDLER_FAILED, "7 more within a second: The handler failed\n"},
        {LOG_BUSY, "7 more within a second: Too many clients, refused\n"},
        {LOG_ACCEPT_FAILED, "7 more within a second: Accept failed, resting. Error\n"},
        {LOG_WORKER_LOST, "7 more within a second: Worker\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer out = {0};
        struct log_renderer renderer = {0};
        assert_true(log_render_repeated(&renderer, &out, 0, rows[i].event, 7));
        assert_int_equal(buffer_size(&out), strlen(rows[i].line));
        assert_memory_equal(buffer_head(&out), rows[i].line, buffer_size(&out));
        buffer_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_errors_are_limited),
        cmocka_unit_test(a_second_begins_with_the_first_error),
        cmocka_unit_test(each_kind_has_its_own),
        cmocka_unit_test(at_the_end_all_that_were_left_out_are_told),
        cmocka_unit_test(what_they_are_called),
    };
    return cmocka_run_group_tests_name("log_repeats", tests, NULL, NULL);
}
