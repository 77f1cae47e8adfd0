/* test_tally: clients are counted by address, exactly. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/net/tally.h"

static struct tally_key v4(const char *text)
{
    struct in_addr ip;
    assert_int_equal(inet_pton(AF_INET, text, &ip), 1);
    return tally_key_v4(&ip);
}

static struct tally_key v6(const char *text)
{
    struct in6_addr ip;
    assert_int_equal(inet_pton(AF_INET6, text, &ip), 1);
    return tally_key_v6(&ip);
}

static struct tally_key user(unsigned uid) { return (struct tally_key){uid, AF_UNIX}; }

static void each_address_has_its_own_count(void **state)
{
    (void) state;
    struct tally *tally = tally_new(100, 2);
    struct tally_key keys[] = {v4("127.0.0.1"),   v4("127.0.0.2"),       v6("::1"),
                               v6("2001:db8::1"), v6("2001:db8:0:1::1"), user(0),
                               user(0x7f000001)};
    enum { KEYS = sizeof keys / sizeof *keys };
    for (int i = 0; i < KEYS; i++) {
        assert_true(tally_add(tally, keys[i]));
        assert_true(tally_add(tally, keys[i]));
        assert_false(tally_add(tally, keys[i]));
    }
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(tally_count(tally, keys[i]), 2);
        tally_remove(tally, keys[i]);
        assert_true(tally_add(tally, keys[i]));
        tally_remove(tally, keys[i]);
        tally_remove(tally, keys[i]);
        assert_int_equal(tally_count(tally, keys[i]), 0);
    }
    tally_free(tally);
}

static void addresses_that_are_one(void **state)
{
    (void) state;
    struct tally *tally = tally_new(10, 1);
    assert_true(tally_add(tally, v6("2001:db8::1")));
    assert_false(tally_add(tally, v6("2001:db8::ffff:1:2:3")));
    assert_true(tally_add(tally, v6("::ffff:10.1.1.1")));
    assert_false(tally_add(tally, v4("10.1.1.1")));
    assert_true(tally_add(tally, v6("::ffff:10.1.1.2")));
    tally_free(tally);
}

static void without_a_bound_all_may_come(void **state)
{
    (void) state;
    assert_true(tally_add(NULL, user(1)));
    tally_remove(NULL, user(1));
    tally_free(NULL);
}

/* Against an array. */
static void it_is_exact_whatever_comes_and_goes(void **state)
{
    (void) state;
    enum { ADDRESSES = 60, CLIENTS = 64, MOST = 3, STEPS = 200000 };
    unsigned counts[ADDRESSES] = {0}, all = 0;
    uint32_t seed = 1;
    struct tally *tally = tally_new(CLIENTS, MOST);
    for (int step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        unsigned address = (seed >> 16) % ADDRESSES;
        struct tally_key key = user(address);
        if (seed >> 31 && all < CLIENTS) {
            bool has_room = counts[address] < MOST;
            assert_int_equal(tally_add(tally, key), has_room);
            counts[address] += has_room;
            all += has_room;
        } else if (counts[address] > 0) {
            tally_remove(tally, key);
            counts[address]--;
            all--;
        }
        assert_int_equal(tally_count(tally, key), counts[address]);
    }
    for (unsigned i = 0; i < ADDRESSES; i++)
        assert_int_equal(tally_count(tally, user(i)), counts[i]);
    tally_free(tally);
}

static void *come_and_go(void *context)
{
    for (unsigned i = 0; i < 20000; i++)
        if (tally_add(context, user(i % 3)))
            tally_remove(context, user(i % 3));
    return NULL;
}

static void many_threads_count(void **state)
{
    (void) state;
    pthread_t threads[4];
    struct tally *tally = tally_new(4, 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, tally), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(tally_count(tally, user(i)), 0);
    tally_free(tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_has_its_own_count),
        cmocka_unit_test(addresses_that_are_one),
        cmocka_unit_test(without_a_bound_all_may_come),
        cmocka_unit_test(it_is_exact_whatever_comes_and_goes),
        cmocka_unit_test(many_threads_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
