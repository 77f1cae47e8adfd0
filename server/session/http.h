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

/* Whether a line is a request of HTTP: it ends in " HTTP/1.0" or " HTTP/1.1", and may have a CR
 * behind that. */
bool http_is_request(const char *line, size_t size);

/* Adds the line's next bytes, up to its LF if there is one. `ends`: it ends behind them even
 * without one. */
void http_line_add(struct http_line *line, const char *data, size_t size, bool ends);

/* The same as http_is_request(); false before its end. */
bool http_line_is_request(const struct http_line *line);

#endif
