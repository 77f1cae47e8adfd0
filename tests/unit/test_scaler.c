/* test_scaler: what is made of a measurement, and moves. The measuring itself is the benchmark's to
 * see. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/engine/scaler.h"

static const double quick_ns = 5000, slow_ns = 200000;

/* One owner is busy all the time, and there are cores that are not. */
static const struct scaler_load full = {.busy = 0.95, .idle = 1, .rate = 100, .cost_ns = quick_ns};
/* Two owners are, and each waits a good part of its time for a core. */
static const struct scaler_load contended = {
    .busy = 1.2, .waiting = 0.6, .idle = 0, .rate = 100, .cost_ns = quick_ns};

static void init(struct scaler *scaler, unsigned count)
{
    *scaler = (struct scaler){0};
    scaler_init(scaler, NULL, count, true);
}

/* Twice, since idle cores are looked for only when another loop might be wanted. */
static void weigh_full(struct scaler *scaler, struct scaler_load load, int64_t now_ms)
{
    scaler_weigh(scaler, &load, now_ms);
    scaler_weigh(scaler, &load, now_ms);
}

/* Twice, since a change is judged when the sessions have had the time to be on their way. */
static void weigh_result(struct scaler *scaler, struct scaler_load load, double rate,
                         int64_t now_ms)
{
    load.rate = rate;
    weigh_full(scaler, load, now_ms);
}

/* Two of them are in use, since they served more. */
static void init_with_two(struct scaler *scaler, unsigned count)
{
    init(scaler, count);
    weigh_full(scaler, full, 0);
    weigh_result(scaler, full, 150, 100);
    assert_int_equal(scaler->in_use, 2);
}

static void test_one_is_in_use_at_first(void **state)
{
    (void) state;
    struct scaler scaler;
    init(&scaler, 8);
    assert_int_equal(scaler.in_use, 1);
    assert_int_equal(scaler_assigned(&scaler, 7), 0);
}

static void test_a_number_that_does_not_adapt_is_in_use_for_good(void **state)
{
    (void) state;
    struct scaler scaler = {0};
    scaler_init(&scaler, NULL, 3, false);
    assert_int_equal(scaler.in_use, 3);
    assert_int_equal(scaler_assigned(&scaler, 7), 1);
    weigh_full(&scaler, contended, 0);
    assert_int_equal(scaler.in_use, 3);
}

static void test_more_are_kept_where_they_serve_more(void **state)
{
    (void) state;
    struct scaler scaler;
    init(&scaler, 3);
    weigh_full(&scaler, full, 0);
    assert_int_equal(scaler.in_use, 2);
    weigh_result(&scaler, full, 190, 100);
    assert_int_equal(scaler.in_use, 2);

    struct scaler_load two_full = full;
    two_full.busy = 1.9;
    weigh_full(&scaler, two_full, 200);
    assert_int_equal(scaler.in_use, 3); /* there are no four */
    weigh_result(&scaler, two_full, 250, 300);
    weigh_full(&scaler, two_full, 400);
    assert_int_equal(scaler.in_use, 3);
}

static void test_more_that_serve_no_more_are_undone_and_not_tried_soon(void **state)
{
    (void) state;
    struct scaler scaler;
    init(&scaler, 2);
    weigh_full(&scaler, full, 0);
    weigh_result(&scaler, full, 102, 100);
    assert_int_equal(scaler.in_use, 1);
    weigh_full(&scaler, full, 200); /* on their way back */
    weigh_full(&scaler, full, 1000);
    assert_int_equal(scaler.in_use, 1);
    weigh_full(&scaler, full, 1101);
    assert_int_equal(scaler.in_use, 2);
    weigh_result(&scaler, full, 102, 1200);
    weigh_full(&scaler, full, 1300);
    weigh_full(&scaler, full, 3100); /* twice as long */
    assert_int_equal(scaler.in_use, 1);
    weigh_full(&scaler, full, 3201);
    assert_int_equal(scaler.in_use, 2);
}

static void test_nothing_is_tried_where_there_is_no_processor_for_it(void **state)
{
    (void) state;
    struct scaler scaler;
    init(&scaler, 2);
    struct scaler_load load = full;
    load.idle = 0.1;
    weigh_full(&scaler, load, 0);
    weigh_full(&scaler, load, 100);
    assert_int_equal(scaler.in_use, 1);
    load.idle = (double) NAN; /* not known: it is found out */
    weigh_full(&scaler, load, 200);
    assert_int_equal(scaler.in_use, 2);
}

static void test_a_loop_that_has_pauses_needs_no_other(void **state)
{
    (void) state;
    struct scaler scaler;
    init(&scaler, 2);
    struct scaler_load load = full;
    load.busy = 0.8;
    weigh_full(&scaler, load, 0);
    assert_int_equal(scaler.in_use, 1);
}

static void test_requests_that_take_long_need_more_sooner_and_no_higher_rate(void **state)
{
    (void) state;
    struct scaler scaler;
    init(&scaler, 2);
    struct scaler_load load = full;
    load.busy = 0.8;
    load.cost_ns = slow_ns;
    weigh_full(&scaler, load, 0);
    assert_int_equal(scaler.in_use, 2);
    weigh_result(&scaler, load, 99, 100);
    assert_int_equal(scaler.in_use, 2);
}

static void test_fewer_are_kept_where_they_serve_as_much(void **state)
{
    (void) state;
    struct scaler scaler;
    init_with_two(&scaler, 2);
    scaler_weigh(&scaler, &contended, 200);
    assert_int_equal(scaler.in_use, 2); /* two were good a moment ago */
    scaler_weigh(&scaler, &contended, 1200);
    assert_int_equal(scaler.in_use, 1);
    weigh_result(&scaler, contended, 99, 1300);
    assert_int_equal(scaler.in_use, 1);
}

static void test_fewer_that_serve_less_are_undone(void **state)
{
    (void) state;
    struct scaler scaler;
    init_with_two(&scaler, 4);
    scaler_weigh(&scaler, &contended, 1200);
    assert_int_equal(scaler.in_use, 1);
    weigh_result(&scaler, contended, 90, 1300);
    assert_int_equal(scaler.in_use, 2);
}

static void test_what_was_fixed_stays(void **state)
{
    (void) state;
    struct scaler scaler;
    init(&scaler, 4);
    scaler_use(&scaler, 3);
    weigh_full(&scaler, full, 0);
    weigh_full(&scaler, contended, 5000);
    assert_int_equal(scaler.in_use, 3);
}

/* ---- moves ---- */

static void test_moves_may_begin_until_the_freeze(void **state)
{
    (void) state;
    struct scaler scaler;
    init(&scaler, 2);
    assert_true(scaler_begin_move(&scaler));
    assert_true(scaler_begin_move(&scaler)); /* another thread's */
    assert_int_equal(scaler.moving, 2);
    scaler_end_move(&scaler);
    scaler_end_move(&scaler);
    scaler_freeze(&scaler);
    assert_false(scaler_begin_move(&scaler));
    assert_int_equal(scaler.moving, 0);
}

struct freeze {
    struct scaler scaler;
    _Atomic bool is_over;
};

static void *run_freeze(void *argument)
{
    struct freeze *freeze = argument;
    scaler_freeze(&freeze->scaler);
    atomic_store(&freeze->is_over, true);
    return NULL;
}

static void test_the_freeze_waits_for_moves_that_have_begun(void **state)
{
    (void) state;
    struct freeze freeze = {.is_over = false};
    pthread_t thread;
    init(&freeze.scaler, 2);
    assert_true(scaler_begin_move(&freeze.scaler));
    assert_int_equal(pthread_create(&thread, NULL, run_freeze, &freeze), 0);
    while (!atomic_load(&freeze.scaler.is_frozen))
        sched_yield();
    for (int i = 0; i < 100; i++) {
        assert_false(scaler_begin_move(&freeze.scaler));
        sched_yield();
    }
    assert_false(atomic_load(&freeze.is_over));
    scaler_end_move(&freeze.scaler);
    pthread_join(thread, NULL);
    assert_true(freeze.is_over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_is_in_use_at_first),
        cmocka_unit_test(test_a_number_that_does_not_adapt_is_in_use_for_good),
        cmocka_unit_test(test_more_are_kept_where_they_serve_more),
        cmocka_unit_test(test_more_that_serve_no_more_are_undone_and_not_tried_soon),
        cmocka_unit_test(test_nothing_is_tried_where_there_is_no_processor_for_it),
        cmocka_unit_test(test_a_loop_that_has_pauses_needs_no_other),
        cmocka_unit_test(test_requests_that_take_long_need_more_sooner_and_no_higher_rate),
        cmocka_unit_test(test_fewer_are_kept_where_they_serve_as_much),
        cmocka_unit_test(test_fewer_that_serve_less_are_undone),
        cmocka_unit_test(test_what_was_fixed_stays),
        cmocka_unit_test(test_moves_may_begin_until_the_freeze),
        cmocka_unit_test(test_the_freeze_waits_for_moves_that_have_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
