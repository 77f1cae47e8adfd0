/* report: the words for how a run ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/report.h"

static const struct {
    struct report_summary summary;
    const char *text; /* without "banter: " and the newline */
} table[] = {
    {{.unit = "message", .sent = 1, .received = 1}, "1 message sent, 1 reply received"},
    {{.unit = "input line", .sent = 2, .received = 2}, "2 input lines sent, 2 replies received"},
    {{.unit = "input line", .sent = 5, .received = 2, .has_unanswered = true},
     "5 input lines sent, 2 replies received, 3 missing; the first unanswered input line is 3"},
    {{.unit = "input line", .sent = 5, .received = 4, .unwritten = 3, .has_unanswered = true},
     "5 input lines sent, 4 replies received, 1 missing, 1 written; the first unanswered input "
     "line "
     "is 2"},
    {{.unit = "input line",
      .sent = 3,
      .received = 3,
      .errors = 1,
      .first_error = 2,
      .first_error_text = "-ERR bad-request no"},
     "3 input lines sent, 3 replies received; 1 error reply, to input line 2: -ERR bad-request no"},
    {{.unit = "message",
      .sent = 3,
      .received = 3,
      .errors = 2,
      .first_error = 1,
      .first_error_text = "-ERR x"},
     "3 messages sent, 3 replies received; 2 error replies, the first to message 1: -ERR x"},
};

static void test_summaries(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char *text = NULL;
        size_t size = 0;
        char expected[200];
        FILE *stream = open_memstream(&text, &size);
        assert_non_null(stream);
        report_to(stream);
        report_summary(&table[i].summary);
        report_to(NULL);
        fclose(stream);
        snprintf(expected, sizeof expected, "banter: %s\n", table[i].text);
        assert_string_equal(text, expected);
        free(text);
    }
}

static void test_times_are_appended(void **state)
{
    (void) state;
    struct buffer out = {0};
    report_time(&out, "message", 1, "0.214 ms");
    report_time(&out, "message", 18446744073709551615u, "12.000 ms");
    assert_true(buffer_append(&out, "", 1));
    assert_string_equal(buffer_head(&out), "banter: message 1: 0.214 ms\n"
                                           "banter: message 18446744073709551615: 12.000 ms\n");
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summaries),
        cmocka_unit_test(test_times_are_appended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
