/*
 * The histogram against the obviously right way: all values in a sorted array.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/histogram.h"

static const unsigned quantiles[] = {0, 1, 25000, 50000, 90000, 99000, 99900, 99999, 100000};
#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

static int by_size(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *) left;
    uint64_t b = *(const uint64_t *) right;
    return (a > b) - (a < b);
}

/* The value at the quantile's rank: the first that as many values as that part of all do not
 * exceed. */
static uint64_t exact_quantile(const uint64_t *sorted, size_t count, unsigned parts)
{
    for (size_t i = 0; i < count; i++)
        if ((i + 1) * HISTOGRAM_WHOLE >= count * parts)
            return sorted[i];
    return sorted[count - 1];
}

static void check_against_sorted(uint64_t *values, size_t count)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);
    assert_non_null(histogram);
    for (size_t i = 0; i < count; i++)
        histogram_add(histogram, values[i]);
    qsort(values, count, sizeof values[0], by_size);
    assert_true(histogram->count == count);
    assert_true(histogram->max == values[count - 1]);
    for (size_t i = 0; i < QUANTILES; i++) {
        uint64_t exact = exact_quantile(values, count, quantiles[i]);
        uint64_t told = histogram_quantile(histogram, quantiles[i]);
        if (told < exact || told - exact > exact / HISTOGRAM_STEPS) {
            fail_msg("%zu values, quantile %u: %llu told for %llu", count, quantiles[i],
                     (unsigned long long) told, (unsigned long long) exact);
        }
    }
    free(histogram);
}

static void test_empty(void **state)
{
    (void) state;
    struct histogram *histogram = calloc(1, sizeof *histogram);
    assert_non_null(histogram);
    for (size_t i = 0; i < QUANTILES; i++)
        assert_true(histogram_quantile(histogram, quantiles[i]) == 0);
    free(histogram);
}

/* Where buckets begin and end, each alone: a value comes back exactly, being the largest. And
 * beside one that is larger, so that the bucket's own end shows. */
static void test_edges(void **state)
{
    (void) state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int offset = -1; offset <= 1; offset++) {
            uint64_t value = ((uint64_t) 1 << bit) + (uint64_t) offset;
            uint64_t alone[] = {value};
            uint64_t beside[] = {value, value, UINT64_MAX};
            check_against_sorted(alone, 1);
            check_against_sorted(beside, 3);
        }
    }
}

static void test_small_values_are_exact(void **state)
{
    (void) state;
    struct histogram *histogram = calloc(1, sizeof *histogram);
    assert_non_null(histogram);
    for (uint64_t value = 1; value <= 100; value++)
        histogram_add(histogram, value);
    for (unsigned percent = 1; percent <= 100; percent++)
        assert_int_equal(histogram_quantile(histogram, percent * (HISTOGRAM_WHOLE / 100)), percent);
    free(histogram);
}

/* xorshift64*: the same numbers in each run. */
static uint64_t next_random(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return *random * 2685821657736338717u;
}

static void test_random_values(void **state)
{
    (void) state;
    static uint64_t values[20000];
    uint64_t random = 88172645463325252u;
    const size_t counts[] = {1, 2, 3, 10, 99, 100, 101, 1000, 20000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (int round = 0; round < 8; round++) {
            for (size_t j = 0; j < counts[i]; j++) {
                /* Every magnitude is equally likely, from nanoseconds to centuries. */
                values[j] = next_random(&random) >> (next_random(&random) % 64);
            }
            check_against_sorted(values, counts[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_random_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
