/*
 * test_nats_service: the pure parts of a worker machine's side of NATS: how many requests it takes,
 * and what it says of itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/nats/micro.h"
#include "server/nats/quota.h"

/* ---- quota ---- */

static void as_many_again_as_there_are_places_wait(void **state)
{
    (void) state;
    struct quota quota;
    quota_init(&quota, 4);
    assert_true(quota_takes(&quota, 7));
    assert_false(quota_takes(&quota, 8));
    quota_answered(&quota, QUOTA_SOON_US + 1);
    assert_int_equal(quota.limit, 8);
}

static void one_that_answers_soon_is_given_more_if_it_had_to_refuse(void **state)
{
    (void) state;
    struct quota quota;
    quota_init(&quota, 4);
    quota_answered(&quota, 10);
    assert_int_equal(quota.limit, 8); /* nothing was refused */
    for (unsigned i = 0; i < 100; i++) {
        assert_false(quota_takes(&quota, quota.limit));
        quota_answered(&quota, 10);
    }
    assert_int_equal(quota.limit, 108);
    quota_answered(&quota, QUOTA_SOON_US + 1);
    assert_int_equal(quota.limit, 94);
    for (int i = 0; i < 30; i++)
        quota_answered(&quota, QUOTA_SOON_US + 1);
    assert_int_equal(quota.limit, 8);
}

static void it_has_a_bound(void **state)
{
    (void) state;
    struct quota quota;
    quota_init(&quota, 1);
    for (unsigned i = 0; i < 2 * QUOTA_MOST; i++) {
        quota_takes(&quota, quota.limit);
        quota_answered(&quota, 10);
    }
    assert_int_equal(quota.limit, QUOTA_MOST);
    quota_set_places(&quota, 600); /* but those that work are not idle */
    assert_int_equal(quota.limit, 1200);
}

/* ---- micro ---- */

static const struct micro_service service = {
    .name = "upper_v2",
    .id = "0123456789ABCDEFGHIJKL",
    .subject = "upper.v2",
    .group = "q",
    .handler = "program",
    .started_ns = INT64_C(1764199368123456789),
};

static void an_identity_is_made_of_letters_and_digits(void **state)
{
    (void) state;
    unsigned char random[MICRO_ID_SIZE - 1];
    char id[MICRO_ID_SIZE];
    for (unsigned i = 0; i < sizeof random; i++)
        random[i] = (unsigned char) (i * 12);
    micro_make_id(random, id);
    assert_int_equal(strlen(id), MICRO_ID_SIZE - 1);
    assert_int_equal(strspn(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
                     MICRO_ID_SIZE - 1);
}

static void each_verb_is_asked_on_three_subjects(void **state)
{
    (void) state;
    static const char *const expected[MICRO_VERBS][MICRO_SCOPES] = {
        {"$SRV.PING", "$SRV.PING.upper_v2", "$SRV.PING.upper_v2.0123456789ABCDEFGHIJKL"},
        {"$SRV.INFO", "$SRV.INFO.upper_v2", "$SRV.INFO.upper_v2.0123456789ABCDEFGHIJKL"},
        {"$SRV.STATS", "$SRV.STATS.upper_v2", "$SRV.STATS.upper_v2.0123456789ABCDEFGHIJKL"},
    };
    char subject[MICRO_SUBJECT_SIZE];
    for (int verb = 0; verb < MICRO_VERBS; verb++)
        for (int scope = 0; scope < MICRO_SCOPES; scope++) {
            micro_subject(&service, (enum micro_verb) verb, (enum micro_scope) scope, subject);
            assert_string_equal(subject, expected[verb][scope]);
        }
}

#define HEAD(type)                                                                                 \
    "{\"type\":\"io.nats.micro.v1." type "_response\",\"name\":\"upper_v2\","                      \
    "\"id\":\"0123456789ABCDEFGHIJKL\",\"version\":\"" BANTER_VERSION "\",\"metadata\":{}"
#define ENDPOINT "{\"name\":\"upper_v2\",\"subject\":\"upper.v2\",\"queue_group\":\"q\","

static void its_answers_are_as_services_give_them(void **state)
{
    (void) state;
    static const char *const expected[MICRO_VERBS] = {
        HEAD("ping") "}",
        HEAD("info") ",\"description\":\"banterd: program\","
                     "\"endpoints\":[" ENDPOINT "\"metadata\":{}}]}",
        HEAD("stats") ",\"started\":\"2025-11-26T23:22:48.123456Z\",\"endpoints\":[" ENDPOINT
                      "\"num_requests\":3,\"num_errors\":1,\"last_error\":\"-ERR x \\\"y\\\"\","
                      "\"processing_time\":1000,\"average_processing_time\":333}]}",
    };
    const struct micro_figures figures = {3, 1, 1000, "-ERR x \"y\""};
    for (int verb = 0; verb < MICRO_VERBS; verb++) {
        struct buffer answer = {0};
        assert_true(micro_answer(&service, (enum micro_verb) verb, &figures, &answer));
        assert_true(buffer_append(&answer, "", 1));
        assert_string_equal(buffer_head(&answer), expected[verb]);
        buffer_fini(&answer);
    }
}

static void one_that_has_done_nothing_yet_has_no_average(void **state)
{
    (void) state;
    const struct micro_figures figures = {.last_error = ""};
    struct buffer answer = {0};
    assert_true(micro_answer(&service, MICRO_STATS, &figures, &answer));
    assert_true(buffer_append(&answer, "", 1));
    assert_non_null(strstr(buffer_head(&answer), "\"average_processing_time\":0}"));
    buffer_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_again_as_there_are_places_wait),
        cmocka_unit_test(one_that_answers_soon_is_given_more_if_it_had_to_refuse),
        cmocka_unit_test(it_has_a_bound),
        cmocka_unit_test(an_identity_is_made_of_letters_and_digits),
        cmocka_unit_test(each_verb_is_asked_on_three_subjects),
        cmocka_unit_test(its_answers_are_as_services_give_them),
        cmocka_unit_test(one_that_has_done_nothing_yet_has_no_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
