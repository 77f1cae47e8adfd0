/*
 * test_buffer: bytes come out as they went in, and memory grows no more than it must.
 */
#include "common/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void all_zero_is_empty_and_holds_no_memory(void **state)
{
    (void) state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_size(&buffer), 0);
    assert_int_equal(buffer_room(&buffer), 0);
    assert_null(buffer_head(&buffer)); /* for UBSan: NULL must not even be offset by 0 */
    assert_null(buffer_tail(&buffer));
    assert_true(buffer_reserve(&buffer, 0));
    assert_true(buffer_append(&buffer, NULL, 0));
    buffer_consume(&buffer, 0);
    buffer_clear(&buffer);
    assert_null(buffer.data);
    buffer_fini(&buffer);
    buffer_fini(&buffer);
}

static void bytes_come_out_as_they_went_in(void **state)
{
    (void) state;
    struct buffer buffer = {0};
    assert_true(buffer_append(&buffer, "Hello ", 6));
    assert_true(buffer_append(&buffer, "ZA\0CK", 5));
    assert_int_equal(buffer_size(&buffer), 11);
    assert_memory_equal(buffer_head(&buffer), "Hello ZA\0CK", 11);
    buffer_consume(&buffer, 6);
    assert_int_equal(buffer_size(&buffer), 5);
    assert_memory_equal(buffer_head(&buffer), "ZA\0CK", 5);

    assert_true(buffer_reserve(&buffer, 1000));
    assert_true(buffer_room(&buffer) >= 1000);
    assert_memory_equal(buffer_head(&buffer), "ZA\0CK", 5);
    memset(buffer_tail(&buffer), 'x', 1000);
    buffer_added(&buffer, 1000);
    assert_int_equal(buffer_size(&buffer), 1005);
    assert_int_equal(buffer_head(&buffer)[1004], 'x');
    buffer_fini(&buffer);
}

static void an_emptied_buffer_begins_at_the_front_again(void **state)
{
    (void) state;
    struct buffer buffer = {0};
    assert_true(buffer_append(&buffer, "abc", 3));
    buffer_consume(&buffer, 2);
    assert_int_equal(buffer.begin, 2);
    buffer_consume(&buffer, 1);
    assert_int_equal(buffer.begin, 0);
    assert_int_equal(buffer.end, 0);

    size_t capacity = buffer.capacity;
    assert_true(buffer_append(&buffer, "abc", 3));
    buffer_clear(&buffer);
    assert_int_equal(buffer_room(&buffer), capacity);

    buffer_fini(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.capacity, 0);
    assert_true(buffer_append(&buffer, "abc", 3));
    assert_memory_equal(buffer_head(&buffer), "abc", 3);
    buffer_fini(&buffer);
}

static void what_can_not_be_had_changes_nothing(void **state)
{
    (void) state;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 3, SIZE_MAX / 2,
                                   SIZE_MAX / 2 + 1};
    struct buffer buffer = {0};
    assert_true(buffer_append(&buffer, "abc", 3));
    buffer_consume(&buffer, 1);
    struct buffer before = buffer;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_false(buffer_reserve(&buffer, sizes[i]));
        assert_false(buffer_append(&buffer, "x", sizes[i]));
        assert_memory_equal(&buffer, &before, sizeof buffer);
    }
    assert_memory_equal(buffer_head(&buffer), "bc", 2);
    buffer_fini(&buffer);
}

static void growing_doubles(void **state)
{
    (void) state;
    struct buffer buffer = {0};
    size_t capacity = 0;
    unsigned grown = 0;
    for (size_t i = 0; i < 1 << 20; i++) {
        assert_true(buffer_append(&buffer, "x", 1));
        grown += buffer.capacity != capacity;
        capacity = buffer.capacity;
    }
    assert_true(grown <= 20);
    buffer_fini(&buffer);
}

/* A queue that is never empty: the worst that bytes can do to a buffer of this kind. */
static void a_long_queue_costs_no_more_than_its_bytes(void **state)
{
    (void) state;
    static const size_t lengths[] = {1, 7, 63, 64, 65, 1000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct buffer buffer = {0};
        unsigned char in = 0;
        unsigned char out = 0;
        size_t moved = 0;
        for (size_t n = 0; n < 100000; n++) {
            struct buffer before = buffer;
            assert_true(buffer_append(&buffer, &in, 1));
            if (buffer.begin < before.begin)
                moved += buffer_size(&before);
            in++;
            if (buffer_size(&buffer) <= lengths[i])
                continue;
            assert_int_equal((unsigned char) *buffer_head(&buffer), out);
            out++;
            buffer_consume(&buffer, 1);
        }
        assert_true(moved <= 100000);
        assert_true(buffer.capacity <= 4 * lengths[i] + 128);
        buffer_fini(&buffer);
    }
}

/* One read after the other into the same room, and little left over each time. */
static void reading_again_and_again_does_not_grow(void **state)
{
    (void) state;
    struct buffer buffer = {0};
    for (size_t i = 0; i < 1000; i++) {
        assert_true(buffer_reserve(&buffer, 4096));
        memset(buffer_tail(&buffer), (int) i, 4096);
        buffer_added(&buffer, 4096);
        buffer_consume(&buffer, buffer_size(&buffer) - 10);
        assert_int_equal((unsigned char) *buffer_head(&buffer), (unsigned char) i);
    }
    assert_true(buffer.capacity <= 16384);
    buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_zero_is_empty_and_holds_no_memory),
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(an_emptied_buffer_begins_at_the_front_again),
        cmocka_unit_test(what_can_not_be_had_changes_nothing),
        cmocka_unit_test(growing_doubles),
        cmocka_unit_test(a_long_queue_costs_no_more_than_its_bytes),
        cmocka_unit_test(reading_again_and_again_does_not_grow),
    };
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
