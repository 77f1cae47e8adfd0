/* http: the end of a line. */
#include "server/session/http.h"

#include <string.h>

bool http_is_request(const char *line, size_t size)
{
    static const char version[] = " HTTP/1.";
    size_t version_size = sizeof version - 1;
    if (size > 0 && line[size - 1] == '\r')
        size--;
    if (size <= version_size || (line[size - 1] != '0' && line[size - 1] != '1'))
        return false;
    return memcmp(line + size - 1 - version_size, version, version_size) == 0;
}

void http_line_add(struct http_line *line, const char *data, size_t size, bool ends)
{
    if (line->ended)
        return;
    const char *lf = size > 0 ? memchr(data, '\n', size) : NULL;
    line->ended = ends || lf;
    size = lf ? (size_t) (lf - data) : size;
    size_t kept = line->size;
    if (size >= HTTP_LINE_KEPT) {
        data += size - HTTP_LINE_KEPT;
        size = HTTP_LINE_KEPT;
    }
    if (kept + size > HTTP_LINE_KEPT) {
        size_t dropped = kept + size - HTTP_LINE_KEPT;
        memmove(line->last, line->last + dropped, kept - dropped);
        kept -= dropped;
    }
    if (size > 0)
        memcpy(line->last + kept, data, size);
    line->size = (unsigned char) (kept + size);
}

bool http_line_is_request(const struct http_line *line)
{
    return line->ended && http_is_request(line->last, line->size);
}
