/*
 * escape: control bytes shown as \xNN, long text cut. See escape.h.
 */
#include "common/escape.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ELLIPSIS "..."

static bool is_control(unsigned char byte) { return byte < 0x20 || byte == 0x7f; }

/* A byte within a UTF-8 character, not its first. */
static bool is_continuation(unsigned char byte) { return (byte & 0xc0) == 0x80; }

const char *escape_text(const char *text, size_t size, char *out)
{
    const size_t limit = ESCAPE_SIZE - sizeof ELLIPSIS;
    size_t used = 0;
    size_t character = 0; /* where in `out` the present UTF-8 character begins */
    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = (unsigned char) text[i];
        const size_t need = is_control(byte) ? strlen("\\x00") : 1;
        if (!is_continuation(byte)) {
            character = used;
        }
        if (used + need > limit) {
            memcpy(out + character, ELLIPSIS, sizeof ELLIPSIS);
            return out;
        }
        if (need > 1) {
            snprintf(out + used, need + 1, "\\x%02x", byte);
        } else {
            out[used] = (char) byte;
        }
        used += need;
    }
    out[used] = '\0';
    return out;
}
