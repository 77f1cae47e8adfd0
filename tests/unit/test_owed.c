/* owed: requests in, replies in the same order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/owed.h"

static size_t entries_of(const struct owed_queue *queue)
{
    struct owed *entries;
    return owed_entries(queue, &entries);
}

static void test_empty(void **state)
{
    (void) state;
    struct owed_queue queue = {0};
    assert_null(owed_first(&queue));
    assert_null(owed_last(&queue));
    assert_int_equal(entries_of(&queue), 0);
    owed_give_up(&queue);
    owed_fini(&queue);
}

static void test_named_requests_are_kept_apart(void **state)
{
    (void) state;
    struct owed_queue queue = {0};
    assert_true(owed_add(&queue, "same", 4, 7));
    assert_true(owed_add(&queue, "same", 4, 7));
    assert_true(owed_add(&queue, "\033[", 2, 8));
    assert_int_equal(entries_of(&queue), 3);
    assert_string_equal(owed_last(&queue)->text, "\\x1b[");
    owed_answered(&queue);
    assert_string_equal(owed_first(&queue)->text, "same");
    owed_answered(&queue);
    assert_int_equal(owed_first(&queue)->at_ns, 8);
    owed_answered(&queue);
    assert_null(owed_first(&queue));
    owed_fini(&queue);
}

static void test_a_million_at_a_time_is_one_entry(void **state)
{
    (void) state;
    struct owed_queue queue = {0};
    for (int64_t at = 1; at <= 3; at++)
        for (int i = 0; i < 1000000; i++)
            assert_true(owed_add(&queue, NULL, 0, at));
    assert_int_equal(entries_of(&queue), 3);
    for (int64_t at = 1; at <= 3; at++) {
        for (int i = 0; i < 1000000; i++) {
            assert_int_equal(owed_first(&queue)->at_ns, at);
            owed_answered(&queue);
        }
    }
    assert_null(owed_first(&queue));
    owed_fini(&queue);
}

static void test_given_up_are_those_that_are_there(void **state)
{
    (void) state;
    struct owed_queue queue = {0};
    owed_add(&queue, "one", 3, 1);
    owed_add(&queue, NULL, 0, 1);
    owed_give_up(&queue);
    owed_add(&queue, NULL, 0, 1); /* of the same time, but not alike */
    assert_int_equal(entries_of(&queue), 3);
    assert_true(owed_first(&queue)->is_given_up);
    assert_false(owed_last(&queue)->is_given_up);
    owed_fini(&queue);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_named_requests_are_kept_apart),
        cmocka_unit_test(test_a_million_at_a_time_is_one_entry),
        cmocka_unit_test(test_given_up_are_those_that_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
