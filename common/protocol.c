/*
 * protocol: see protocol.h.
 */
#include "common/protocol.h"

#include <stdio.h>
#include <string.h>

static const size_t quit_size = sizeof(PROTOCOL_QUIT) - 1;
static const size_t error_size = sizeof(PROTOCOL_ERROR) - 1;

/* ASCII's white space, whatever the locale is. */
static bool is_white(char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

bool protocol_is_quit(const char *message, size_t size)
{
    if (size < quit_size || memcmp(message, PROTOCOL_QUIT, quit_size) != 0)
        return false;
    while (size > quit_size && is_white(message[size - 1]))
        size--;
    return size == quit_size;
}

const char *protocol_find_quit(const char *data, size_t size)
{
    return size < quit_size ? NULL : memmem(data, size, PROTOCOL_QUIT, quit_size);
}

bool protocol_is_error(const char *reply, size_t size)
{
    return size > error_size + 1 && memcmp(reply, PROTOCOL_ERROR " ", error_size + 1) == 0 &&
           reply[error_size + 1] != ' ';
}

bool protocol_is_error_code(const char *reply, size_t size, const char *code)
{
    if (!protocol_is_error(reply, size))
        return false;
    const char *text = reply + error_size + 1;
    const size_t text_size = size - error_size - 1;
    const size_t code_size = strlen(code);
    return text_size >= code_size && memcmp(text, code, code_size) == 0 &&
           (text_size == code_size || text[code_size] == ' ');
}

bool protocol_is_unasked(const char *reply, size_t size)
{
    /* Every reply of the server's comes by here, and hardly any is an error. */
    return protocol_is_error(reply, size) && (protocol_is_error_code(reply, size, PROTOCOL_BUSY) ||
                                              protocol_is_error_code(reply, size, PROTOCOL_IDLE));
}

size_t protocol_write_error(char *out, size_t size, const char *code, const char *text)
{
    const int length = snprintf(out, size, PROTOCOL_ERROR " %s %s", code, text);
    return (size_t) length < size ? (size_t) length : size - 1;
}
