/*
 * protocol: see protocol.h.
 */
#include "common/protocol.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/ascii.h"

static const size_t quit_size = sizeof PROTOCOL_QUIT - 1;
static const size_t error_size = sizeof PROTOCOL_ERROR - 1;

#define NAME(name) [PROTOCOL_CODE_##name] = PROTOCOL_##name,
const char *const protocol_codes[PROTOCOL_CODES] = {
    PROTOCOL_CODE_TABLE(NAME)[PROTOCOL_CODE_OTHER] = "other",
};
#undef NAME

bool protocol_is_quit(const char *message, size_t size)
{
    if (size < quit_size || memcmp(message, PROTOCOL_QUIT, quit_size) != 0)
        return false;
    while (size > quit_size && ascii_is_white(message[size - 1]))
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

/* Whether a reply that is an error has this code. */
static bool has_code(const char *reply, size_t size, const char *code)
{
    const char *text = reply + error_size + 1;
    size_t text_size = size - error_size - 1;
    size_t code_size = strlen(code);
    return text_size >= code_size && memcmp(text, code, code_size) == 0 &&
           (text_size == code_size || text[code_size] == ' ');
}

bool protocol_is_error_code(const char *reply, size_t size, const char *code)
{
    return protocol_is_error(reply, size) && has_code(reply, size, code);
}

/* Apart from the test of the first byte, which can then be inlined. */
__attribute__((noinline)) static int error_code(const char *reply, size_t size)
{
    if (!protocol_is_error(reply, size))
        return -1;
    int code = 0;
    while (code < PROTOCOL_CODE_OTHER && !has_code(reply, size, protocol_codes[code]))
        code++;
    return code;
}

int protocol_error_code(const char *reply, size_t size)
{
    /* Every reply of the server comes through here, and hardly any is an error. */
    return size > 0 && reply[0] == PROTOCOL_ERROR[0] ? error_code(reply, size) : -1;
}

bool protocol_is_unasked(const char *reply, size_t size)
{
    int code = protocol_error_code(reply, size);
    return code >= PROTOCOL_CODE_BUSY && code <= PROTOCOL_CODE_STOPPING;
}

size_t protocol_write_error(char *out, size_t size, const char *code, const char *text)
{
    int length = snprintf(out, size, PROTOCOL_ERROR " %s %s", code, text);
    return (size_t) length < size ? (size_t) length : size - 1;
}

bool protocol_append_error(struct buffer *out, enum frame_codec codec, const char *code,
                           const char *text)
{
    char error[PROTOCOL_ERROR_SIZE];
    size_t size = protocol_write_error(error, sizeof error, code, text);
    enum frame_refusal refusal = frame_put(out, codec, error, size, PROTOCOL_MAX_REPLY);
    assert(refusal == FRAME_FITS || refusal == FRAME_NO_MEMORY);
    return refusal == FRAME_FITS;
}
