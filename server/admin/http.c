/* http: a line of three words, fields that nobody reads, and an empty line. */
#include "server/admin/http.h"

#include <stdio.h>
#include <string.h>

struct word {
    const char *text;
    size_t size;
};

/* ---- requests ---- */

static bool is(struct word word, const char *text)
{
    return word.size == strlen(text) && memcmp(word.text, text, word.size) == 0;
}

static bool begins_with(struct word word, const char *text)
{
    return word.size >= strlen(text) && memcmp(word.text, text, strlen(text)) == 0;
}

/* What is in front of the first such byte, which is dropped from the rest, too; false: there is
 * none. */
static bool cut(struct word *rest, char at, struct word *word)
{
    const char *end = rest->size > 0 ? memchr(rest->text, at, rest->size) : NULL;
    if (!end)
        return false;
    *word = (struct word){rest->text, (size_t) (end - rest->text)};
    rest->size -= word->size + 1;
    rest->text = end + 1;
    return true;
}

/* The next line, without its end; false: its end has not come. */
static bool next_line(struct word *rest, struct word *line)
{
    if (!cut(rest, '\n', line))
        return false;
    if (line->size > 0 && line->text[line->size - 1] == '\r')
        line->size--;
    return true;
}

/* A client may send the whole URL; what is left of it is the path, and so is a target that is no
 * URL. */
static struct word path_of(struct word target)
{
    static const char scheme[] = "http://";
    struct word query = target, path;
    if (begins_with(target, scheme)) {
        size_t size = sizeof scheme - 1;
        while (size < target.size && target.text[size] != '/' && target.text[size] != '?')
            size++;
        query = (struct word){target.text + size, target.size - size};
    }
    return cut(&query, '?', &path) ? path : query;
}

/* The words are apart by one space each, and none of them is empty. */
static bool read_first_line(struct word line, struct http_request *request)
{
    struct word method, target;
    if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target) || method.size == 0 ||
        target.size == 0)
        return false;
    if (!is(line, "HTTP/1.0") && !is(line, "HTTP/1.1"))
        return false;
    struct word path = path_of(target);
    request->method = is(method, "GET")    ? HTTP_GET
                      : is(method, "HEAD") ? HTTP_HEAD
                                           : HTTP_OTHER_METHOD;
    request->path = path.text;
    request->path_size = path.size;
    return true;
}

enum http_outcome http_read_request(const char *data, size_t size, struct http_request *request)
{
    struct word rest = {data, size}, line;
    if (!next_line(&rest, &line))
        return HTTP_MORE;
    if (!read_first_line(line, request))
        return HTTP_MALFORMED;
    while (next_line(&rest, &line))
        if (line.size == 0)
            return HTTP_REQUEST;
    return HTTP_MORE;
}

/* ---- responses ---- */

static const char *reason(enum http_status status)
{
    switch (status) {
    case HTTP_OK:
        return "OK";
    case HTTP_BAD_REQUEST:
        return "Bad Request";
    case HTTP_NOT_FOUND:
        return "Not Found";
    case HTTP_METHOD_NOT_ALLOWED:
        return "Method Not Allowed";
    case HTTP_UNAVAILABLE:
        break;
    }
    return "Service Unavailable";
}

bool http_put_response(struct buffer *out, const struct http_response *response, time_t now)
{
    char head[512], date[40];
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                        "%sConnection: close\r\n\r\n",
                        (int) response->status, reason(response->status), date, response->type,
                        response->body_size,
                        response->status == HTTP_METHOD_NOT_ALLOWED ? "Allow: GET, HEAD\r\n" : "");
    size_t body_size = response->without_body ? 0 : response->body_size;
    return buffer_reserve(out, (size_t) size + body_size) &&
           buffer_append(out, head, (size_t) size) && buffer_append(out, response->body, body_size);
}
