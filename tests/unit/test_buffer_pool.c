/*
 * test_buffer_pool: which pieces are kept, who gets them, and when they are given back.
 */
#include "common/buffer_pool.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buffer.h"

enum { K = 1 << 10, M = 1 << 20, BOUND = 4 * M };

static atomic_uint shortage;

static int open_pool(void **state)
{
    (void) state;
    atomic_store(&shortage, 0);
    return buffer_pool_open(BOUND, &shortage) ? 0 : -1;
}

static int close_pool(void **state)
{
    (void) state;
    buffer_pool_close();
    assert_int_equal(buffer_pool_size(), 0);
    assert_int_equal(buffer_pool_timer_fd(), -1);
    return 0;
}

static void put(size_t size) { buffer_pool_put(malloc(size), size); }

static size_t take(size_t least, size_t most)
{
    size_t size = 0;
    void *data = buffer_pool_take(least, most, &size);
    free(data);
    return data ? size : 0;
}

/* Waits for the timer, so that no tick is lost or comes early. */
static void tick(void)
{
    struct pollfd timer = {buffer_pool_timer_fd(), POLLIN, 0};
    assert_int_equal(poll(&timer, 1, -1), 1);
    buffer_pool_tick();
}

static bool has_timer(void)
{
    struct pollfd timer = {buffer_pool_timer_fd(), POLLIN, 0};
    return poll(&timer, 1, 3 * BUFFER_POOL_TICK_MS) == 1;
}

/* ---- what is kept, and who gets it ---- */

static void nothing_is_kept_while_it_is_closed(void **state)
{
    (void) state;
    put(M);
    assert_int_equal(buffer_pool_size(), 0);
    assert_int_equal(take(1, SIZE_MAX), 0);
    assert_true(buffer_pool_open(BOUND, NULL));
    assert_false(buffer_pool_open(BOUND, NULL));
    put(M);
    buffer_pool_close();
    put(M);
    assert_int_equal(buffer_pool_size(), 0);
}

static void the_largest_that_fits_is_taken(void **state)
{
    (void) state;
    static const struct {
        size_t least, most, got;
    } takes[] = {
        {65 * K, 127 * K, 0}, {64 * K, 200 * K, 128 * K}, {64 * K, 127 * K, 64 * K},
        {M + 1, 2 * M, 0},    {1, SIZE_MAX, M},           {1, SIZE_MAX, 256 * K},
        {1, SIZE_MAX, 0},
    };
    put(64 * K);
    put(M);
    put(128 * K);
    put(256 * K);
    buffer_pool_put(NULL, 0);
    assert_int_equal(buffer_pool_size(), M + 448 * K);
    for (size_t i = 0; i < sizeof takes / sizeof takes[0]; i++)
        assert_int_equal(take(takes[i].least, takes[i].most), takes[i].got);
    assert_int_equal(buffer_pool_size(), 0);
}

static void of_equal_pieces_the_last_one_is_taken(void **state)
{
    (void) state;
    size_t size;
    char *first = malloc(M), *last = malloc(M);
    buffer_pool_put(first, M);
    buffer_pool_put(last, M);
    assert_ptr_equal(buffer_pool_take(M, M, &size), last);
    assert_ptr_equal(buffer_pool_take(M, M, &size), first);
    free(first);
    free(last);
}

static void no_more_is_kept_than_the_bound(void **state)
{
    (void) state;
    put(3 * M);
    put(M + 1);
    assert_int_equal(buffer_pool_size(), 3 * M);
    put(M);
    assert_int_equal(buffer_pool_size(), BOUND);
    put(64 * K);
    assert_int_equal(buffer_pool_size(), BOUND);
    buffer_pool_empty();
    assert_int_equal(buffer_pool_size(), 0);
    for (int i = 0; i < 100; i++)
        put(K);
    assert_int_equal(buffer_pool_size(), 64 * K);
}

static void nothing_is_kept_while_memory_is_short(void **state)
{
    (void) state;
    put(M);
    atomic_store(&shortage, 1);
    put(M);
    assert_int_equal(buffer_pool_size(), M);
    atomic_store(&shortage, 0);
    put(M);
    assert_int_equal(buffer_pool_size(), 2 * M);
}

/* ---- time ---- */

static void what_nobody_takes_is_given_back(void **state)
{
    (void) state;
    size_t size;
    put(M);
    put(128 * K);
    for (int i = 1; i < BUFFER_POOL_TICKS; i++) {
        tick();
        void *data = buffer_pool_take(128 * K, 128 * K, &size);
        assert_non_null(data);
        buffer_pool_put(data, size);
    }
    assert_int_equal(buffer_pool_size(), M + 128 * K);
    tick();
    assert_int_equal(buffer_pool_size(), 128 * K);
    assert_true(has_timer());
    assert_int_equal(take(1, M), 128 * K);
    tick();
    assert_false(has_timer());
    put(M);
    assert_true(has_timer());
}

static void a_tick_gives_back_a_part(void **state)
{
    (void) state;
    buffer_pool_close();
    assert_true(buffer_pool_open(4 * BOUND, &shortage));
    for (int i = 0; i < 8; i++)
        put(2 * M);
    for (int i = 0; i < BUFFER_POOL_TICKS; i++)
        tick();
    for (size_t left = 12 * M; left > 0; left -= 4 * M) {
        assert_int_equal(buffer_pool_size(), left);
        tick();
    }
    assert_int_equal(buffer_pool_size(), 0);
}

/* ---- buffers ---- */

static void fill(struct buffer *buffer, size_t size)
{
    assert_true(buffer_reserve(buffer, size));
    for (size_t i = 0; i < size; i++)
        buffer_tail(buffer)[i] = (char) i;
    buffer_added(buffer, size);
}

static void large_buffers_come_from_the_pool(void **state)
{
    (void) state;
    struct buffer buffer = {0};
    fill(&buffer, 300 * K);
    const char *data = buffer.data;
    assert_int_equal(buffer_memory(&buffer), 300 * K);
    buffer_fini(&buffer);
    size_t kept = buffer_pool_size();
    assert_true(kept >= 300 * K);

    fill(&buffer, 1000);
    buffer_consume(&buffer, 10);
    assert_true(buffer_reserve(&buffer, 290 * K));
    assert_ptr_equal(buffer.data, data);
    assert_int_equal(buffer_pool_size(), 0);
    assert_int_equal(buffer_size(&buffer), 990);
    assert_int_equal(buffer_memory(&buffer), buffer.capacity);
    for (size_t i = 0; i < 990; i++)
        assert_int_equal(buffer_head(&buffer)[i], (char) (i + 10));
    buffer_fini(&buffer);
    assert_int_equal(buffer_pool_size(), kept);

    /* A piece that is much larger is for those who expect to need it. */
    assert_true(buffer_reserve(&buffer, 70 * K));
    assert_ptr_not_equal(buffer.data, data);
    buffer_fini(&buffer);
    assert_true(buffer_grow_within(&buffer, 70 * K, M));
    assert_ptr_equal(buffer.data, data);
    buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_kept_while_it_is_closed),
        cmocka_unit_test_setup_teardown(the_largest_that_fits_is_taken, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(of_equal_pieces_the_last_one_is_taken, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(no_more_is_kept_than_the_bound, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(nothing_is_kept_while_memory_is_short, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(what_nobody_takes_is_given_back, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(a_tick_gives_back_a_part, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(large_buffers_come_from_the_pool, open_pool, close_pool),
    };
    return cmocka_run_group_tests_name("buffer_pool", tests, NULL, NULL);
}
