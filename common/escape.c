/*
 * escape: see escape.h.
 *
 * Nearly all text is printable ASCII, so the walk takes eight bytes of it at once.
 */
#include "common/escape.h"

#include <endian.h>
#include <string.h>

#define ELLIPSIS "..."

/* ---- characters ---- */

/* Whether a terminal or a viewer of files obeys the character: the controls U+0080 to U+009F, the
 * marks, embeddings, overrides and isolates that change the direction of text (Unicode's
 * Bidi_Control), and the separators of lines and paragraphs. */
static bool is_obeyed(uint32_t character)
{
    return character < 0xa0 || character == 0x061c || character == 0x200e || character == 0x200f ||
           (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

size_t escape_utf8(const char *text, size_t size, uint32_t *character)
{
    static const uint32_t least[] = {[2] = 0x80, [3] = 0x800, [4] = 0x10000};
    unsigned char first = (unsigned char) *text;
    size_t length = first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
    if (length == 0 || length > size)
        return 0;
    uint32_t value = first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        unsigned char byte = (unsigned char) text[i];
        if ((byte & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (byte & 0x3f);
    }
    *character = value;
    bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
    return value < least[length] || value > 0x10ffff || is_surrogate ? 0 : length;
}

/* ---- the walk ---- */

/* How many bytes at the head of `text` are printable ASCII. */
static size_t plain_head(const char *text, size_t size)
{
    uint64_t each = UINT64_C(0x0101010101010101);
    size_t at = 0;
    while (at + 8 <= size) {
        uint64_t bytes;
        memcpy(&bytes, text + at, sizeof bytes);
        bytes = le64toh(bytes);
        /* A byte below ' ', beyond ASCII, or DEL sets its top bit in one of the three terms.
         * Borrows and carries come from such bytes only, so the first bit found is right. */
        uint64_t found = ((bytes - each * ' ') | bytes | (bytes + each)) & each * 0x80;
        if (found)
            return at + (size_t) __builtin_ctzll(found) / 8;
        at += 8;
    }
    while (at < size && text[at] >= 0x20 && text[at] < 0x7f)
        at++;
    return at;
}

/* How many bytes at `text` are one character that may be shown, other than printable ASCII; 0: the
 * first byte is to be escaped. */
static size_t character_shown(const char *text, size_t size, escape_decoder *decode,
                              const char *kept)
{
    unsigned char first = (unsigned char) *text;
    if (first < 0x80)
        return first && strchr(kept, first);
    uint32_t character;
    size_t length = decode(text, size, &character);
    return length > 0 && !is_obeyed(character) ? length : 0;
}

size_t escape_shown(const char *text, size_t size, escape_decoder *decode, const char *kept)
{
    size_t at = 0;
    for (;;) {
        at += plain_head(text + at, size - at);
        size_t length = at < size ? character_shown(text + at, size - at, decode, kept) : 0;
        if (length == 0)
            return at;
        at += length;
    }
}

/* ---- escaping ---- */

char *escape_byte(char byte, char *out)
{
    static const char digits[] = "0123456789abcdef";
    unsigned value = (unsigned char) byte;
    *out++ = '\\';
    *out++ = 'x';
    *out++ = digits[value >> 4];
    *out++ = digits[value & 15];
    return out;
}

/* Writes \n, \t, \r or \xNN, and returns the end of it. */
static char *put_escape(char byte, char *out)
{
    if (byte != '\n' && byte != '\t' && byte != '\r')
        return escape_byte(byte, out);
    *out++ = '\\';
    *out++ = byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r';
    return out;
}

char *escape_line(const char *text, size_t size, char *out)
{
    const char *end = text + size;
    while (text < end) {
        size_t shown = escape_shown(text, (size_t) (end - text), escape_utf8, "");
        out = mempcpy(out, text, shown);
        text += shown;
        if (text < end)
            out = put_escape(*text++, out);
    }
    return out;
}

/* The size of the longest head of `text`, which is UTF-8, that has at most `room` bytes and does
 * not end inside a character. */
static size_t cut(const char *text, size_t room)
{
    while (room > 0 && ((unsigned char) text[room] & 0xc0) == 0x80)
        room--;
    return room;
}

const char *escape_text(const char *text, size_t size, char *out)
{
    size_t room = ESCAPE_SIZE - sizeof ELLIPSIS;
    /* Each byte becomes at least one: those after ESCAPE_SIZE would be cut off in any case. */
    const char *end = text + (size < ESCAPE_SIZE ? size : ESCAPE_SIZE);
    char *to = out;
    while (text < end) {
        size_t shown = escape_shown(text, (size_t) (end - text), escape_utf8, "");
        size_t need = shown > 0 ? shown : ESCAPE_BYTE_SIZE;
        if (need > room) {
            to = mempcpy(to, text, shown > 0 ? cut(text, room) : 0);
            to = mempcpy(to, ELLIPSIS, strlen(ELLIPSIS));
            break;
        }
        if (shown > 0)
            to = mempcpy(to, text, shown);
        else
            to = escape_byte(*text, to);
        text += shown > 0 ? shown : 1;
        room -= need;
    }
    *to = '\0';
    return out;
}
