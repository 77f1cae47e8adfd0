/*
 * printable: one pass, character by character as the locale sees them.
 */
#include "client/printable.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "common/escape.h"

/* How many bytes at `text` are one character that can be shown as it is; 0: the first byte
 * can't. */
static size_t shown_as_is(const char *text, size_t size)
{
    const unsigned char first = (unsigned char) *text;
    if (first < 0x80)
        return (first >= 0x20 && first != 0x7f) || first == '\t' || first == '\n';

    mbstate_t state;
    memset(&state, 0, sizeof state);
    wchar_t character = 0;
    const size_t length = mbrtowc(&character, text, size, &state);
    if (length == 0 || length > size) /* also (size_t) -1 and -2: invalid, or cut short */
        return 0;
    return iswprint((wint_t) character) && !escape_is_deceptive((uint32_t) character) ? length : 0;
}

bool printable_append(struct buffer *out, const char *text, size_t size)
{
    size_t begin = 0; /* of the stretch that is copied in one go */
    size_t at = 0;
    while (at < size) {
        const size_t length = shown_as_is(text + at, size - at);
        if (length > 0) {
            at += length;
            continue;
        }
        char escaped[5];
        snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned) (unsigned char) text[at]);
        if (!buffer_append(out, text + begin, at - begin) || !buffer_append(out, escaped, 4))
            return false;
        begin = ++at;
    }
    return buffer_append(out, text + begin, size - begin);
}
