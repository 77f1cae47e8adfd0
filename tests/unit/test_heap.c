/* heap: against a reference that is searched from end to end; its bound; what an item knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/engine/heap.h"

enum { ITEMS = 200, STEPS = 20000, SEEDS = 8 };

struct model {
    struct heap heap;
    struct heap_item items[ITEMS];
    int64_t keys[ITEMS]; /* the reference; HEAP_NONE: not in the heap */
    unsigned seed, step;
    uint64_t random;
};

#define CHECK(model, condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %u, step %u: %s", (model)->seed, (model)->step, #condition);            \
    } while (0)

static unsigned random_below(struct model *model, unsigned bound)
{
    model->random = model->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned) (model->random >> 33) % bound;
}

/* Few enough for many of them to be equal, and some below zero. */
static int64_t random_key(struct model *model) { return (int64_t) random_below(model, 300) - 50; }

static int64_t smallest(const struct model *model)
{
    int64_t key = HEAP_NONE;
    for (int i = 0; i < ITEMS; i++)
        if (model->keys[i] < key)
            key = model->keys[i];
    return key;
}

static void begin(struct model *model, unsigned seed)
{
    *model = (struct model){.seed = seed, .random = seed};
    for (int i = 0; i < ITEMS; i++)
        model->keys[i] = HEAP_NONE;
}

static void put(struct model *model, unsigned i, int64_t key)
{
    CHECK(model, heap_reserve(&model->heap, model->heap.count + 1));
    heap_put(&model->heap, &model->items[i], key);
    model->keys[i] = key;
}

static void remove_item(struct model *model, unsigned i)
{
    heap_remove(&model->heap, &model->items[i]);
    model->keys[i] = HEAP_NONE;
}

/* Any of those with the smallest key will do. */
static void take(struct model *model, int64_t max_key)
{
    int64_t key = smallest(model);
    struct heap_item *item = heap_take(&model->heap, max_key);
    if (key > max_key || key == HEAP_NONE) {
        CHECK(model, !item);
        return;
    }
    CHECK(model, item);
    CHECK(model, item >= model->items && item < model->items + ITEMS);
    CHECK(model, model->keys[item - model->items] == key);
    model->keys[item - model->items] = HEAP_NONE;
}

static void compare(struct model *model)
{
    size_t count = 0;
    CHECK(model, heap_first_key(&model->heap) == smallest(model));
    for (int i = 0; i < ITEMS; i++) {
        count += model->keys[i] != HEAP_NONE;
        CHECK(model, heap_key(&model->heap, &model->items[i]) == model->keys[i]);
    }
    CHECK(model, model->heap.count == count);
}

static void any_sequence_of_calls_agrees_with_the_reference(void **state)
{
    (void) state;
    static struct model model;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        begin(&model, seed);
        for (model.step = 0; model.step < STEPS; model.step++) {
            unsigned choice = random_below(&model, 8);
            unsigned i = random_below(&model, ITEMS);
            if (choice < 5)
                put(&model, i, random_key(&model));
            else if (choice < 7)
                remove_item(&model, i);
            else
                take(&model, random_key(&model));
            compare(&model);
        }
        heap_fini(&model.heap);
    }
}

static void all_are_taken_in_the_order_of_their_keys(void **state)
{
    (void) state;
    static struct model model;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        begin(&model, seed);
        for (unsigned i = 0; i < ITEMS; i++)
            put(&model, i, random_key(&model));
        for (model.step = 0; model.step < ITEMS; model.step++)
            take(&model, INT64_MAX);
        CHECK(&model, model.heap.count == 0);
        heap_fini(&model.heap);
    }
}

static void a_key_at_the_bound_is_taken_and_one_beyond_it_is_not(void **state)
{
    (void) state;
    struct heap heap = {0};
    struct heap_item item = {0};
    assert_true(heap_reserve(&heap, 1));
    heap_put(&heap, &item, 10);
    assert_null(heap_take(&heap, 9));
    assert_int_equal(heap_key(&heap, &item), 10);
    assert_ptr_equal(heap_take(&heap, 10), &item);
    assert_null(heap_take(&heap, INT64_MAX));
    heap_fini(&heap);
}

static void an_item_that_is_in_no_heap_has_no_key(void **state)
{
    (void) state;
    struct heap heap = {0};
    struct heap_item item = {0};
    assert_int_equal(heap_first_key(&heap), HEAP_NONE);
    assert_int_equal(heap_key(&heap, &item), HEAP_NONE);
    heap_remove(&heap, &item);
    assert_true(heap_reserve(&heap, 1));
    heap_put(&heap, &item, 3);
    assert_int_equal(heap_key(&heap, &item), 3);
    heap_remove(&heap, &item);
    assert_int_equal(heap_key(&heap, &item), HEAP_NONE);
    assert_int_equal(heap_first_key(&heap), HEAP_NONE);
    heap_fini(&heap);
}

static void putting_needs_no_memory_when_room_was_made(void **state)
{
    (void) state;
    struct heap heap = {0};
    struct heap_item items[1000] = {0};
    assert_true(heap_reserve(&heap, 500));
    const struct heap_entry *entries = heap.entries;
    for (int i = 0; i < 500; i++)
        heap_put(&heap, &items[i], 1000 - i);
    assert_ptr_equal(heap.entries, entries);
    assert_true(heap_reserve(&heap, 1000)); /* those that are in stay in */
    for (int i = 500; i < 1000; i++)
        heap_put(&heap, &items[i], 1000 - i);
    for (int i = 999; i >= 0; i--)
        assert_ptr_equal(heap_take(&heap, INT64_MAX), &items[i]);
    heap_fini(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_sequence_of_calls_agrees_with_the_reference),
        cmocka_unit_test(all_are_taken_in_the_order_of_their_keys),
        cmocka_unit_test(a_key_at_the_bound_is_taken_and_one_beyond_it_is_not),
        cmocka_unit_test(an_item_that_is_in_no_heap_has_no_key),
        cmocka_unit_test(putting_needs_no_memory_when_room_was_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
