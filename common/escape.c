/*
 * escape: what must not be shown becomes \xNN, long text is cut. See escape.h.
 */
#include "common/escape.h"

#include <stdio.h>
#include <string.h>

#define ELLIPSIS "..."

bool escape_is_deceptive(uint32_t character)
{
    return (character >= 0x202a && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069) || character == 0x200e ||
           character == 0x200f;
}

/* How many bytes a character of UTF-8 has by its first one; 0: it begins none. */
static size_t length_by_first(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

/* How many bytes at `text` are one character that may be shown as it is; 0: the first byte may not.
 * (Encodings that are longer than need be, and surrogates, go through: a terminal shows them as
 * no character, and obeys none.) */
static size_t shown_as_is(const char *text, size_t size)
{
    const unsigned char first = (unsigned char) *text;
    const size_t length = length_by_first(first);
    if (length == 0 || length > size)
        return 0;
    uint32_t character = length == 1 ? first : first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        const unsigned char byte = (unsigned char) text[i];
        if ((byte & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (byte & 0x3f);
    }
    const bool is_control = character < 0x20 || (character >= 0x7f && character < 0xa0);
    return is_control || escape_is_deceptive(character) ? 0 : length;
}

const char *escape_text(const char *text, size_t size, char *out)
{
    const size_t limit = ESCAPE_SIZE - sizeof ELLIPSIS;
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        const size_t length = shown_as_is(text + at, size - at);
        const size_t need = length > 0 ? length : strlen("\\x00");
        if (used + need > limit) {
            memcpy(out + used, ELLIPSIS, sizeof ELLIPSIS);
            return out;
        }
        if (length > 0)
            memcpy(out + used, text + at, length);
        else
            snprintf(out + used, need + 1, "\\x%02x", (unsigned) (unsigned char) text[at]);
        used += need;
        at += length > 0 ? length : 1;
    }
    out[used] = '\0';
    return out;
}
