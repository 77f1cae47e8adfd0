/*
 * test_admin_http: heads of requests, whole and cut anywhere; responses, byte for byte.
 */
#include "server/admin/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    const char *text;
    enum http_outcome outcome;
    enum http_method method;
    const char *path;
} requests[] = {
    {"GET /metrics HTTP/1.1\r\n\r\n", HTTP_REQUEST, HTTP_GET, "/metrics"},
    {"GET /metrics HTTP/1.0\n\n", HTTP_REQUEST, HTTP_GET, "/metrics"},
    {"HEAD / HTTP/1.1\r\nHost: a:1\r\nAccept: */*\r\n\r\n", HTTP_REQUEST, HTTP_HEAD, "/"},
    {"GET /a?b=/c?d HTTP/1.1\r\n\r\n", HTTP_REQUEST, HTTP_GET, "/a"},
    {"GET ?b HTTP/1.1\r\n\r\n", HTTP_REQUEST, HTTP_GET, ""},
    {"GET http://a:1/metrics?b HTTP/1.1\r\n\r\n", HTTP_REQUEST, HTTP_GET, "/metrics"},
    {"GET http://a HTTP/1.1\r\n\r\n", HTTP_REQUEST, HTTP_GET, ""},
    {"GET http://a?/b HTTP/1.1\r\n\r\n", HTTP_REQUEST, HTTP_GET, ""},
    {"OPTIONS * HTTP/1.1\r\n\r\n", HTTP_REQUEST, HTTP_OTHER_METHOD, "*"},
    {"get / HTTP/1.1\r\n\r\n", HTTP_REQUEST, HTTP_OTHER_METHOD, "/"},
    {"GETS / HTTP/1.1\r\n\r\n", HTTP_REQUEST, HTTP_OTHER_METHOD, "/"},
    {"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", HTTP_REQUEST, HTTP_OTHER_METHOD,
     "/metrics"},
    {"GET / HTTP/1.1\r\nno field at all\r\n\r\n", HTTP_REQUEST, HTTP_GET, "/"},
    {"", HTTP_MORE, HTTP_GET, NULL},
    {"GET / HTTP/1.1", HTTP_MORE, HTTP_GET, NULL},
    {"GET / HTTP/1.1\r\n", HTTP_MORE, HTTP_GET, NULL},
    {"GET / HTTP/1.1\r\nHost: a\r\n\r", HTTP_MORE, HTTP_GET, NULL},
    {"\r\n", HTTP_MALFORMED, HTTP_GET, NULL},
    {"GET\r\n", HTTP_MALFORMED, HTTP_GET, NULL},
    {"GET /\r\n", HTTP_MALFORMED, HTTP_GET, NULL},
    {"GET  / HTTP/1.1\r\n", HTTP_MALFORMED, HTTP_GET, NULL},
    {"GET /  HTTP/1.1\r\n", HTTP_MALFORMED, HTTP_GET, NULL},
    {" / HTTP/1.1\r\n", HTTP_MALFORMED, HTTP_GET, NULL},
    {"GET / HTTP/1.1 \r\n", HTTP_MALFORMED, HTTP_GET, NULL},
    {"GET / HTTP/1.2\r\n", HTTP_MALFORMED, HTTP_GET, NULL},
    {"PRI * HTTP/2.0\r\n", HTTP_MALFORMED, HTTP_GET, NULL},
    {"Zack\n", HTTP_MALFORMED, HTTP_GET, NULL},
};

static void requests_are_read(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct http_request request;
        size_t size = strlen(requests[i].text);
        assert_int_equal(http_read_request(requests[i].text, size, &request), requests[i].outcome);
        if (requests[i].outcome != HTTP_REQUEST)
            continue;
        assert_int_equal(request.method, requests[i].method);
        assert_int_equal(request.path_size, strlen(requests[i].path));
        assert_memory_equal(request.path, requests[i].path, request.path_size);
    }
}

/* Nothing is known before the end has come, and nothing changes behind it. */
static void what_is_known_stays_so(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        enum http_outcome last = HTTP_MORE;
        for (size_t size = 0; size <= strlen(requests[i].text); size++) {
            struct http_request request;
            enum http_outcome outcome = http_read_request(requests[i].text, size, &request);
            if (last != HTTP_MORE)
                assert_int_equal(outcome, last);
            last = outcome;
        }
        assert_int_equal(last, requests[i].outcome);
    }
}

static const struct {
    struct http_response response;
    const char *text;
} responses[] = {
    {{HTTP_OK, "text/plain", "ok\n", 3, false},
     "HTTP/1.1 200 OK\r\nDate: Fri, 13 Feb 2009 23:31:30 GMT\r\nContent-Type: text/plain\r\n"
     "Content-Length: 3\r\nConnection: close\r\n\r\nok\n"},
    {{HTTP_UNAVAILABLE, "text/plain", "stuck\n", 6, true},
     "HTTP/1.1 503 Service Unavailable\r\nDate: Fri, 13 Feb 2009 23:31:30 GMT\r\n"
     "Content-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\n"},
    {{HTTP_METHOD_NOT_ALLOWED, "text/plain", "", 0, false},
     "HTTP/1.1 405 Method Not Allowed\r\nDate: Fri, 13 Feb 2009 23:31:30 GMT\r\n"
     "Content-Type: text/plain\r\nContent-Length: 0\r\nAllow: GET, HEAD\r\n"
     "Connection: close\r\n\r\n"},
    {{HTTP_NOT_FOUND, "text/plain", "", 0, false},
     "HTTP/1.1 404 Not Found\r\nDate: Fri, 13 Feb 2009 23:31:30 GMT\r\n"
     "Content-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
    {{HTTP_BAD_REQUEST, "text/plain", "", 0, false},
     "HTTP/1.1 400 Bad Request\r\nDate: Fri, 13 Feb 2009 23:31:30 GMT\r\n"
     "Content-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
};

static void responses_are_made(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof responses / sizeof *responses; i++) {
        struct buffer out = {0};
        assert_true(http_put_response(&out, &responses[i].response, 1234567890));
        assert_int_equal(buffer_size(&out), strlen(responses[i].text));
        assert_memory_equal(buffer_head(&out), responses[i].text, buffer_size(&out));
        buffer_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(what_is_known_stays_so),
        cmocka_unit_test(responses_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
