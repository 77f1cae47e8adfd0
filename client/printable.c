/* printable: the locale says what its characters are and which of them it can print. */
#include "client/printable.h"

#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "common/escape.h"

static size_t decode(const char *text, size_t size, uint32_t *character)
{
    mbstate_t state;
    memset(&state, 0, sizeof state);
    wchar_t wide = 0;
    size_t length = mbrtowc(&wide, text, size, &state);
    if (length > size || !iswprint((wint_t) wide)) /* (size_t) -1 and -2: invalid, or cut short */
        return 0;
    *character = (uint32_t) wide;
    return length;
}

bool printable_append(struct buffer *out, const char *text, size_t size)
{
    while (size > 0) {
        size_t shown = escape_shown(text, size, decode, "\t\n");
        if (!buffer_append(out, text, shown))
            return false;
        text += shown;
        size -= shown;
        if (size == 0)
            break;
        char escaped[ESCAPE_BYTE_SIZE];
        escape_byte(*text++, escaped);
        size--;
        if (!buffer_append(out, escaped, sizeof escaped))
            return false;
    }
    return true;
}
