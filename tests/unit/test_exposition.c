/*
 * test_exposition: each figure in its place, and what the format asks for.
 */
#include "server/admin/exposition.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char build_info[] =
    "banterd_build_info{version=\"" BANTER_VERSION "\",handler=\"hello\",framing=\"line\"} 1";

static struct exposition figures;
static char *text;

static int make(void **state)
{
    (void) state;
    size_t size;
    static struct latency_counter at_once, late;
    memset(&at_once, 0, sizeof at_once);
    memset(&late, 0, sizeof late);
    latency_add(&at_once, 61035, 5); /* 2^-14 s at most */
    latency_add(&at_once, 61036, 7);
    latency_add(&late, 33000000000, 1);
    figures = (struct exposition){
        .handler = "hello",
        .framing = "line",
        .process = {1764200000.25, 1.5, 4096, 7, 1024},
        .stats = {.sessions = 12,
                  .clients = 3,
                  .max_clients = 100,
                  .requests = UINT64_MAX,
                  .bytes_received = 1001,
                  .bytes_sent = 1002,
                  .handovers = 1003,
                  .jobs = 1004,
                  .batches = 1005,
                  .accept_rests = 1006,
                  .log_lines = 1007,
                  .log_dropped = 1008,
                  .waiting = 1009,
                  .threads = 1010,
                  .loops = 1011,
                  .loops_in_use = 1012,
                  .lobby = {.handshakes = {1023, 1024, 1025, 1026}, .waiting = 1027}},
        .certificate_end_s = 1764200001,
        .workers = {[HANDLER_WORKER_WAITS] = 4, [HANDLER_WORKER_WORKS] = 5},
        .worker_replacements = 1013,
        .reloaded_s = 1021,
    };
    figures.stats.errors[PROTOCOL_CODE_TOO_LONG] = 1014;
    figures.stats.errors[PROTOCOL_CODE_OTHER] = 1015;
    figures.stats.events[LOG_BUSY] = 1016;
    figures.stats.events[LOG_ADDRESS_BUSY] = 1017;
    figures.stats.events[LOG_DENIED] = 1018;
    figures.stats.events[LOG_RELOADED] = 1019;
    figures.stats.events[LOG_PROXY_FAILED] = 1022;
    figures.stats.events[LOG_RELOAD_FAILED] = 1020;
    memset(figures.latency, 0, sizeof figures.latency);
    latency_sum(&figures.latency[SERVER_ANSWERED_AT_ONCE], &at_once);
    latency_sum(&figures.latency[SERVER_ANSWERED_LATE], &late);
    latency_sum(&figures.handshakes, &at_once);
    text = exposition_text(&figures, &size);
    assert_non_null(text);
    assert_int_equal(strlen(text), size);
    return 0;
}

static int drop(void **state)
{
    (void) state;
    free(text);
    return 0;
}

static void each_figure_has_its_line(void **state)
{
    (void) state;
    static const char *const lines[] = {
        build_info,
        "process_start_time_seconds 1764200000.25",
        "process_cpu_seconds_total 1.500000",
        "process_resident_memory_bytes 4096",
        "process_open_fds 7",
        "process_max_fds 1024",
        "banterd_sessions 3",
        "banterd_sessions_max 100",
        "banterd_sessions_total 12",
        "banterd_refused_total{reason=\"busy\"} 1016",
        "banterd_refused_total{reason=\"address\"} 1017",
        "banterd_refused_total{reason=\"denied\"} 1018",
        "banterd_proxy_failed_total 1022",
        "banterd_requests_total 18446744073709551615",
        "banterd_errors_total{code=\"too-long\"} 1014",
        "banterd_errors_total{code=\"bad-frame\"} 0",
        "banterd_errors_total{code=\"stopping\"} 0",
        "banterd_errors_total{code=\"other\"} 1015",
        "banterd_received_bytes_total 1001",
        "banterd_sent_bytes_total 1002",
        "banterd_request_seconds_bucket{answered=\"at-once\",le=\"6.103515625e-05\"} 5",
        "banterd_request_seconds_bucket{answered=\"at-once\",le=\"0.000244140625\"} 12",
        "banterd_request_seconds_bucket{answered=\"at-once\",le=\"1\"} 12",
        "banterd_request_seconds_bucket{answered=\"at-once\",le=\"+Inf\"} 12",
        "banterd_request_seconds_sum{answered=\"at-once\"} 0.000732427",
        "banterd_request_seconds_count{answered=\"at-once\"} 12",
        "banterd_request_seconds_bucket{answered=\"late\",le=\"16\"} 0",
        "banterd_request_seconds_bucket{answered=\"late\",le=\"32\"} 0",
        "banterd_request_seconds_bucket{answered=\"late\",le=\"+Inf\"} 1",
        "banterd_request_seconds_sum{answered=\"late\"} 33.000000000",
        "banterd_request_seconds_count{answered=\"late\"} 1",
        "banterd_tls_handshakes_total{result=\"ok\"} 1023",
        "banterd_tls_handshakes_total{result=\"failed\"} 1024",
        "banterd_tls_handshakes_total{result=\"timeout\"} 1025",
        "banterd_tls_handshakes_total{result=\"denied\"} 1026",
        "banterd_tls_handshake_seconds_bucket{le=\"6.103515625e-05\"} 5",
        "banterd_tls_handshake_seconds_bucket{le=\"+Inf\"} 12",
        "banterd_tls_handshake_seconds_sum 0.000732427",
        "banterd_tls_handshake_seconds_count 12",
        "banterd_tls_waiting 1027",
        "banterd_certificate_end_timestamp_seconds 1764200001",
        "banterd_loops 1011",
        "banterd_loops_in_use 1012",
        "banterd_batches_total 1005",
        "banterd_threads 1010",
        "banterd_handovers_total 1003",
        "banterd_offloaded_total 1004",
        "banterd_offload_waiting 1009",
        "banterd_accept_rests_total 1006",
        "banterd_workers{state=\"waits\"} 4",
        "banterd_workers{state=\"works\"} 5",
        "banterd_workers{state=\"down\"} 0",
        "banterd_worker_replacements_total 1013",
        "banterd_log_lines_total 1007",
        "banterd_log_dropped_total 1008",
        "banterd_reloads_total{result=\"ok\"} 1019",
        "banterd_reloads_total{result=\"failed\"} 1020",
        "banterd_reload_timestamp_seconds 1021",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char line[256];
        snprintf(line, sizeof line, "\n%s\n", lines[i]);
        if (!strstr(text, line))
            fail_msg("%s: it is not in\n%s", lines[i], text);
    }
}

/* Whether a line's name is `name`, or one of a histogram's. */
static bool is_of(const char *line, const char *name)
{
    static const char *const ends[] = {"", "_bucket", "_sum", "_count"};
    size_t size = strcspn(line, " {");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (size == strlen(name) + strlen(ends[i]) && strncmp(line, name, strlen(name)) == 0 &&
            strncmp(line + strlen(name), ends[i], strlen(ends[i])) == 0)
            return true;
    return false;
}

/* HELP, TYPE, and then all values of that metric; a counter's name ends in _total. */
static void each_metric_is_described_once(void **state)
{
    (void) state;
    char name[100] = "", type[20] = "";
    char *copy = strdup(text);
    unsigned values = 1;
    assert_non_null(copy);
    for (char *rest = copy, *line; (line = strsep(&rest, "\n")) && *line;) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_true(values > 0);
            assert_int_equal(sscanf(line, "# HELP %99s ", name), 1);
            assert_true(strlen(line) > strlen(name) + 9 && line[strlen(line) - 1] == '.');
            assert_ptr_equal(strstr(strstr(text, line) + 1, line), NULL);
            continue;
        }
        if (strncmp(line, "# TYPE ", 7) == 0) {
            char again[100];
            assert_int_equal(sscanf(line, "# TYPE %99s %19s", again, type), 2);
            assert_string_equal(again, name);
            bool is_total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;
            assert_int_equal(is_total, strcmp(type, "counter") == 0);
            values = 0;
            continue;
        }
        assert_true(is_of(line, name));
        assert_true(isdigit((unsigned char) line[strlen(line) - 1]));
        values++;
    }
    assert_true(values > 0);
    free(copy);
}

static void the_process_is_this_one(void **state)
{
    (void) state;
    struct process_figures process;
    process_figures_begin(&process);
    process_figures_read(&process);
    assert_true(process.started_s > 1500000000 && process.started_s <= (double) time(NULL) + 1);
    assert_true(process.started_s > (double) time(NULL) - 3600);
    assert_true(process.resident_bytes > 100000);
    assert_true(process.open_fds >= 3 && process.open_fds < process.max_fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_figure_has_its_line, make, drop),
        cmocka_unit_test_setup_teardown(each_metric_is_described_once, make, drop),
        cmocka_unit_test(the_process_is_this_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
