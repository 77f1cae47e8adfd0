/*
 * http: whether the first line of a session is a request of HTTP. Any web page can make a browser
 * send one to a port of its own machine, with lines of the page's choice behind it, and none of
 * them may be run.
 *
 * Text only: no session, no I/O. One thread at a time.
 */
#ifndef BANTER_SERVER_SESSION_HTTP_H
#define BANTER_SERVER_SESSION_HTTP_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_LINE_KEPT = sizeof " HTTP/1.1\r" - 1 };

/* The last bytes of a line that comes in pieces; all zero is its beginning. Private. */
struct http_line {
    bool ended; /* its end has come */
    unsigned char size;
    char last[HTTP_LINE_KEPT];
};

/* Whether a line, whose CR, if there is one, may be at its end, is a request of HTTP: it ends in "
 * HTTP/1.0" or " HTTP/1.1". */
bool http_is_request(const char *line, size_t size);

/* Adds what comes next: of it all up to the line's end, which is LF or said to be there. */
void http_line_add(struct http_line *line, const char *data, size_t size, bool ends);

/* The same as http_is_request(); false before its end. */
bool http_line_is_request(const struct http_line *line);

#endif
