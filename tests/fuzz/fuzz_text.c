/*
 * fuzz_text: what others sent, as it is shown: in a message, in the log, at a terminal. It is text
 * that drives nothing, of one line, and each byte of it is there, as it is, as \xNN, or as JSON has
 * it.
 *
 * Input: what it is, flags, the text.
 */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "client/printable.h"
#include "common/escape.h"
#include "server/log/render.h"
#include "tests/fuzz/fuzz.h"

/* ---- UTF-8, by the table of the Unicode Standard (3-7, well-formed byte sequences) ---- */

static bool is_within(unsigned char byte, unsigned least, unsigned most)
{
    return byte >= least && byte <= most;
}

/* The size of the character that the text begins with; 0: there is none. */
static size_t character_size(const unsigned char *text, size_t size)
{
    static const struct {
        unsigned char first[2], second[2];
        size_t size;
    } rows[] = {
        {{0xc2, 0xdf}, {0x80, 0xbf}, 2}, {{0xe0, 0xe0}, {0xa0, 0xbf}, 3},
        {{0xe1, 0xec}, {0x80, 0xbf}, 3}, {{0xed, 0xed}, {0x80, 0x9f}, 3},
        {{0xee, 0xef}, {0x80, 0xbf}, 3}, {{0xf0, 0xf0}, {0x90, 0xbf}, 4},
        {{0xf1, 0xf3}, {0x80, 0xbf}, 4}, {{0xf4, 0xf4}, {0x80, 0x8f}, 4},
    };
    if (text[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!is_within(text[0], rows[i].first[0], rows[i].first[1]))
            continue;
        if (size < rows[i].size || !is_within(text[1], rows[i].second[0], rows[i].second[1]))
            return 0;
        for (size_t at = 2; at < rows[i].size; at++)
            if (!is_within(text[at], 0x80, 0xbf))
                return 0;
        return rows[i].size;
    }
    return 0;
}

static bool begins_with_any(const unsigned char *text, size_t size, const char *const *these)
{
    for (; *these; these++)
        if (size >= strlen(*these) && memcmp(text, *these, strlen(*these)) == 0)
            return true;
    return false;
}

/* The same for a character that may be shown as it is. */
static size_t shown_size(const unsigned char *text, size_t size, const char *kept)
{
    static const char *const directions[] = {"\u061c", "\u200e", "\u200f", "\u2028", "\u2029",
                                             "\u202a", "\u202b", "\u202c", "\u202d", "\u202e",
                                             "\u2066", "\u2067", "\u2068", "\u2069", NULL};
    size_t length = character_size(text, size);
    bool is_control = text[0] < ' ' || text[0] == 0x7f;
    bool is_upper_control = length == 2 && text[0] == 0xc2 && text[1] < 0xa0;
    if ((is_control && !(text[0] && strchr(kept, text[0]))) || is_upper_control ||
        begins_with_any(text, length, directions))
        return 0;
    return length;
}

/* ---- what is shown ---- */

/* The escaped form of all of it, or as much as there is room for: whole characters and escapes. */
static size_t escape(const unsigned char *text, size_t size, const char *kept, bool has_names,
                     char *out)
{
    char *to = out;
    for (size_t at = 0; at < size;) {
        size_t shown = shown_size(text + at, size - at, kept);
        const char *name = strchr("\nn\tt\rr", text[at]);
        if (shown > 0)
            to = mempcpy(to, text + at, shown);
        else if (has_names && text[at] && name && text[at] < ' ')
            to += sprintf(to, "\\%c", name[1]);
        else
            to += sprintf(to, "\\x%02x", text[at]);
        at += shown > 0 ? shown : 1;
    }
    return (size_t) (to - out);
}

static bool is_clean(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t shown = shown_size((const unsigned char *) text + at, size - at, "");
        if (shown == 0)
            return false;
        at += shown;
    }
    return true;
}

static void check_message(const char *text, size_t size, char *room)
{
    char shown[ESCAPE_SIZE];
    size_t full = escape((const unsigned char *) text, size, "", false, room);
    FUZZ_REQUIRE(escape_text(text, size, shown) == shown);
    size_t length = strnlen(shown, ESCAPE_SIZE);
    FUZZ_REQUIRE(length < ESCAPE_SIZE && is_clean(shown, length));
    if (full + strlen("...") < ESCAPE_SIZE) {
        FUZZ_REQUIRE(length == full && memcmp(shown, room, full) == 0);
    } else if (length != full || memcmp(shown, room, full) != 0) {
        FUZZ_REQUIRE(length >= 3 && strcmp(shown + length - 3, "...") == 0);
        FUZZ_REQUIRE(length + ESCAPE_BYTE_SIZE >= ESCAPE_SIZE - 1);
        FUZZ_REQUIRE(memcmp(shown, room, length - 3) == 0);
    }
}

static void check_log(const char *text, size_t size, unsigned flags, char *room)
{
    struct buffer line = {0};
    enum log_event event = (enum log_event)(flags % LOG_EVENTS);
    uint64_t session = flags & 64 ? 0 : UINT64_MAX >> flags % 60;
    size_t full = flags & 128 ? size + flags : size;
    struct log_record record = {0, event, session, text, size, full};
    const struct log_field *field = log_describe(event)->fields;
    FUZZ_REQUIRE(log_render(&(struct log_renderer){0}, &line, &record));
    size_t length = buffer_size(&line);
    const char *head = buffer_head(&line);
    FUZZ_REQUIRE(length > 0 && head[length - 1] == '\n' && is_clean(head, length - 1));
    FUZZ_REQUIRE((head[0] == '[') == (session > 0));
    size_t escaped = escape((const unsigned char *) text, size, "", true, room);
    if (field->key && !field[1].key) /* one that holds all of the text */
        FUZZ_REQUIRE(escaped == 0 || memmem(head, length, room, escaped));
    FUZZ_REQUIRE(full == size || memmem(head, length, " bytes)", 7));
    buffer_fini(&line);
}

/* ---- JSON ---- */

/* Reads a string of JSON, behind its first quote and to its last, into `out`. Returns its size. */
static size_t read_string(const char *at, const char *end, char *out)
{
    static const char from[] = "\"\\bfnrt", to[] = "\"\\\b\f\n\r\t";
    char *begin = out;
    while (at < end) {
        FUZZ_REQUIRE(*at != '"' && (unsigned char) *at >= 0x20);
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        FUZZ_REQUIRE(end - at >= 2);
        const char *name = strchr(from, at[1]);
        if (name) {
            *out++ = to[name - from];
            at += 2;
            continue;
        }
        char digits[5] = "";
        FUZZ_REQUIRE(end - at >= 6 && at[1] == 'u');
        memcpy(digits, at + 2, 4);
        unsigned long value = strtoul(digits, NULL, 16);
        if (value >= 0x800)
            *out++ = (char) (0xe0 | value >> 12);
        if (value >= 0x80)
            *out++ = (char) (value >= 0x800 ? 0x80 | (value >> 6 & 0x3f) : 0xc0 | value >> 6);
        *out++ = (char) (value >= 0x80 ? 0x80 | (value & 0x3f) : value);
        at += 6;
    }
    return (size_t) (out - begin);
}

static bool is_utf8(const unsigned char *text, size_t size)
{
    for (size_t at = 0, length; at < size; at += length) {
        length = text[at] < 0x80 ? 1 : character_size(text + at, size - at);
        if (length == 0)
            return false;
    }
    return true;
}

static void check_json(const char *text, size_t size, bool is_cut)
{
    static const char key[] = "\"message\":\"", key_base64[] = "\"message_base64\":\"";
    struct buffer line = {0};
    struct log_renderer renderer = {.style.format = LOG_FORMAT_JSON};
    struct log_record record = {0, LOG_PROCESSED, 1, text, size, size + is_cut};
    FUZZ_REQUIRE(log_render(&renderer, &line, &record));
    size_t length = buffer_size(&line);
    const char *head = buffer_head(&line), *end = head + length - strlen("\"}\n");
    FUZZ_REQUIRE(head[length - 1] == '\n' && is_clean(head, length - 1));
    if (is_cut)
        while (end > head && memcmp(end, "\",\"bytes\":", 10) != 0)
            end--;
    const char *begin = memmem(head, length, key, sizeof key - 1);
    if (begin) {
        char *read = malloc(length);
        FUZZ_REQUIRE(read);
        size_t got = read_string(begin + sizeof key - 1, end, read);
        FUZZ_REQUIRE(got <= size && (got == size || (is_cut && size - got <= 3)));
        FUZZ_REQUIRE(memcmp(read, text, got) == 0 && is_utf8((const unsigned char *) text, got));
        free(read);
    } else {
        begin = memmem(head, length, key_base64, sizeof key_base64 - 1);
        FUZZ_REQUIRE(begin && !is_utf8((const unsigned char *) text, size));
        FUZZ_REQUIRE((size_t) (end - begin) == sizeof key_base64 - 1 + (size + 2) / 3 * 4);
    }
    buffer_fini(&line);
}

static void check_terminal(const char *text, size_t size)
{
    struct buffer shown = {0};
    FUZZ_REQUIRE(printable_append(&shown, text, size));
    const char *head = buffer_head(&shown);
    size_t left = buffer_size(&shown);
    /* Which characters can be printed is the locale's affair; those that can't are escaped. */
    for (size_t at = 0; at < size;) {
        const unsigned char *from = (const unsigned char *) text + at;
        size_t may_be = shown_size(from, size - at, "\t\n");
        char escaped[8];
        sprintf(escaped, "\\x%02x", *from);
        bool is_escaped = left >= 4 && memcmp(head, escaped, 4) == 0 && *from != '\\';
        size_t taken = is_escaped ? 1 : may_be;
        FUZZ_REQUIRE(taken > 0 && (is_escaped || memcmp(head, from, taken) == 0));
        at += taken;
        head += is_escaped ? 4 : taken;
        left -= is_escaped ? 4 : taken;
    }
    FUZZ_REQUIRE(left == 0);
    buffer_fini(&shown);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void) argc;
    (void) argv;
    setlocale(LC_CTYPE, "C.UTF-8");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned kind = fuzz_below(&input, 3);
    unsigned flags = fuzz_byte(&input);
    const char *text = input.left ? (const char *) input.at : "";
    char *room = malloc(4 * input.left + 1);
    FUZZ_REQUIRE(room);
    if (kind == 1)
        check_json(text, input.left, flags & 1);
    if (kind == 0)
        check_message(text, input.left, room);
    else if (kind == 1)
        check_log(text, input.left, flags, room);
    else
        check_terminal(text, input.left);
    free(room);
    return 0;
}
