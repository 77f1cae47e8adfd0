/*
 * http: as much of HTTP as one GET needs: a request's head is read, and one response is made.
 *
 * Bytes only: no sockets, no time of its own. One thread at a time for each buffer.
 */
#ifndef BANTER_SERVER_ADMIN_HTTP_H
#define BANTER_SERVER_ADMIN_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "common/buffer.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER_METHOD };

struct http_request {
    enum http_method method;
    const char *path; /* a view, without the query */
    size_t path_size;
};

enum http_outcome {
    HTTP_MORE, /* the end of the head has not come */
    HTTP_REQUEST,
    HTTP_MALFORMED, /* the first line is no request of HTTP/1, whatever comes behind it */
};

/* Reads the head of a request from the first bytes of a connection. What the header fields say, and
 * what comes behind them, makes no difference. */
enum http_outcome http_read_request(const char *data, size_t size, struct http_request *request);

enum http_status {
    HTTP_OK = 200,
    HTTP_BAD_REQUEST = 400,
    HTTP_NOT_FOUND = 404,
    HTTP_METHOD_NOT_ALLOWED = 405,
    HTTP_UNAVAILABLE = 503,
};

struct http_response {
    enum http_status status;
    const char *type; /* of the body, such as "text/plain" */
    const char *body;
    size_t body_size;
    bool without_body; /* as HEAD wants it: only its size is given */
};

/* Appends a response that is the connection's last one; `now` is its date. False: out of memory. */
bool http_put_response(struct buffer *out, const struct http_response *response, time_t now);

#endif
