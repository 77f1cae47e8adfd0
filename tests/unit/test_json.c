/* json: objects and arrays, their commas, and texts of any bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"

static void assert_json(struct buffer *out, const char *expected)
{
    assert_true(buffer_append(out, "", 1));
    assert_string_equal(buffer_head(out), expected);
    buffer_fini(out);
}

static void commas_stand_between_items_and_nowhere_else(void **state)
{
    (void) state;
    struct buffer out = {0};
    struct json json = {.out = &out};
    json_begin_object(&json, NULL);
    json_begin_array(&json, "none");
    json_end_array(&json);
    json_begin_array(&json, "two");
    json_number(&json, NULL, 0);
    json_number(&json, NULL, UINT64_MAX);
    json_end_array(&json);
    json_begin_object(&json, "in");
    json_bool(&json, "yes", true);
    json_bool(&json, "no", false);
    json_end_object(&json);
    json_null(&json, "nothing");
    json_begin_array(&json, "objects");
    json_begin_object(&json, NULL);
    json_end_object(&json);
    json_items(&json, "", 0);
    json_items(&json, "{},1", 4);
    json_end_array(&json);
    json_end_object(&json);
    assert_false(json.failed);
    assert_json(&out, "{\"none\":[],\"two\":[0,18446744073709551615],\"in\":{\"yes\":true,"
                      "\"no\":false},\"nothing\":null,\"objects\":[{},{},1]}");
}

static void thousandths_have_three_decimals(void **state)
{
    static const struct {
        uint64_t thousandths;
        const char *expected;
    } rows[] = {{0, "0.000"},   {7, "0.007"},      {70, "0.070"},
                {700, "0.700"}, {61001, "61.001"}, {31536000123, "31536000.123"}};
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer out = {0};
        struct json json = {.out = &out};
        json_thousandths(&json, NULL, rows[i].thousandths);
        assert_json(&out, rows[i].expected);
    }
}

static void texts_are_escaped_or_in_base64(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"", "{\"a\":1,\"k\":\"\"}"},
        {"plain", "{\"a\":1,\"k\":\"plain\"}"},
        {"a\"b\\c\n\x1b", "{\"a\":1,\"k\":\"a\\\"b\\\\c\\n\\u001b\"}"},
        {"\xc3\xa9\xe2\x80\xae", "{\"a\":1,\"k\":\"\xc3\xa9\\u202e\"}"},
        {"\xff", "{\"a\":1,\"k_base64\":\"/w==\"}"},
        {"abc\xff", "{\"a\":1,\"k_base64\":\"YWJj/w==\"}"},
        {"abcde\xff", "{\"a\":1,\"k_base64\":\"YWJjZGX/\"}"},
    };
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer out = {0};
        struct json json = {.out = &out};
        json_begin_object(&json, NULL);
        json_number(&json, "a", 1);
        json_text(&json, "k", rows[i].text);
        json_end_object(&json);
        assert_json(&out, rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_stand_between_items_and_nowhere_else),
        cmocka_unit_test(thousandths_have_three_decimals),
        cmocka_unit_test(texts_are_escaped_or_in_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
