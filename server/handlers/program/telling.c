/* telling: two fields. */
#include "server/handlers/program/telling.h"

#include <string.h>

#include "server/request.h"

/* With the TAB behind it; that is no longer than its NUL would be, escaped. */
static char *put_field(const char *text, char *out)
{
    const char *shown = *text ? text : "-";
    out = escape_line(shown, strlen(shown), out);
    *out++ = '\t';
    return out;
}

size_t telling_write(const struct request *request, char *out)
{
    struct peer_text peer;
    request_describe_peer(request, &peer);
    return (size_t) (put_field(peer.identity, put_field(peer.address, out)) - out);
}
