/* json: see json.h. */
#include "common/json.h"

#include <string.h>

#include "common/decimal.h"
#include "common/escape.h"

/* ---- texts ---- */

static char *put_unicode(char *at, uint32_t character)
{
    static const char digits[] = "0123456789abcdef";
    *at++ = '\\';
    *at++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4)
        *at++ = digits[character >> shift & 15];
    return at;
}

static char *put_control(char *at, char byte)
{
    static const char from[] = "\b\t\n\f\r", to[] = "btnfr";
    const char *found = byte ? strchr(from, byte) : NULL;
    if (!found)
        return put_unicode(at, (unsigned char) byte);
    *at++ = '\\';
    *at++ = to[found - from];
    return at;
}

/* Text that may be shown; only quotes and backslashes are escaped. */
static char *put_shown(char *at, const char *text, size_t size)
{
    for (const char *end = text + size; text < end; text++) {
        if (*text == '"' || *text == '\\')
            *at++ = '\\';
        *at++ = *text;
    }
    return at;
}

/* NULL, with something written, if the text is not UTF-8. All characters that may not be shown
 * are in the first plane of Unicode, so that four digits are enough. */
static char *put_utf8(char *at, const char *text, size_t size)
{
    for (;;) {
        size_t shown = escape_shown(text, size, escape_utf8, "");
        at = put_shown(at, text, shown);
        text += shown;
        size -= shown;
        if (size == 0)
            return at;
        uint32_t character;
        size_t length = 1;
        if ((unsigned char) *text < 0x80)
            at = put_control(at, *text);
        else if ((length = escape_utf8(text, size, &character)) > 0)
            at = put_unicode(at, character);
        else
            return NULL;
        text += length;
        size -= length;
    }
}

char *json_put_string(char *at, const char *text, size_t size)
{
    char *end = put_utf8(stpcpy(at, "\""), text, size);
    return end ? stpcpy(end, "\"") : NULL;
}

char *json_put_base64(char *at, const char *text, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    at = stpcpy(at, "\"");
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = 0;
        for (size_t j = i; j < i + 3; j++)
            bits = bits << 8 | (j < size ? (unsigned char) text[j] : 0);
        for (size_t j = 0; j < 4; j++)
            *at++ = i + j <= size ? digits[bits >> (18 - 6 * j) & 63] : '=';
    }
    return stpcpy(at, "\"");
}

/* ---- objects and arrays ---- */

static void put(struct json *json, const char *text, size_t size)
{
    if (!buffer_append(json->out, text, size))
        json->failed = true;
}

static void put_text(struct json *json, const char *text) { put(json, text, strlen(text)); }

static void begin_item(struct json *json, const char *key, const char *suffix)
{
    if (json->has_item)
        put_text(json, ",");
    if (key) {
        put_text(json, "\"");
        put_text(json, key);
        put_text(json, suffix);
        put_text(json, "\":");
    }
    json->has_item = true;
}

static void put_item(struct json *json, const char *key, const char *text)
{
    begin_item(json, key, "");
    put_text(json, text);
}

static void begin(struct json *json, const char *key, const char *bracket)
{
    put_item(json, key, bracket);
    json->has_item = false;
}

static void end(struct json *json, const char *bracket)
{
    put_text(json, bracket);
    json->has_item = true;
}

void json_begin_object(struct json *json, const char *key) { begin(json, key, "{"); }
void json_end_object(struct json *json) { end(json, "}"); }
void json_begin_array(struct json *json, const char *key) { begin(json, key, "["); }
void json_end_array(struct json *json) { end(json, "]"); }
void json_bool(struct json *json, const char *key, bool value)
{
    put_item(json, key, value ? "true" : "false");
}
void json_null(struct json *json, const char *key) { put_item(json, key, "null"); }

void json_number(struct json *json, const char *key, uint64_t number)
{
    char digits[DECIMAL_MAX_DIGITS];
    begin_item(json, key, "");
    put(json, digits, decimal_print(digits, number));
}

void json_thousandths(struct json *json, const char *key, uint64_t thousandths)
{
    char part[] = {'.', (char) ('0' + thousandths / 100 % 10), (char) ('0' + thousandths / 10 % 10),
                   (char) ('0' + thousandths % 10)};
    json_number(json, key, thousandths / 1000);
    put(json, part, sizeof part);
}

/* False, with something written, if it can't be encoded so. */
static bool put_encoded(struct json *json, const char *key, const char *suffix, const char *text,
                        char *(*encode)(char *at, const char *text, size_t size))
{
    size_t size = strlen(text);
    begin_item(json, key, suffix);
    if (!buffer_reserve(json->out, JSON_ESCAPED_BYTES * size + sizeof "\"====\"")) {
        json->failed = true;
        return true;
    }
    char *at = buffer_tail(json->out), *last = encode(at, text, size);
    if (last)
        buffer_added(json->out, (size_t) (last - at));
    return last;
}

void json_text(struct json *json, const char *key, const char *text)
{
    struct json before = *json;
    size_t size = buffer_size(json->out);
    if (put_encoded(json, key, "", text, json_put_string))
        return;
    *json = before;
    json->out->end = json->out->begin + size;
    put_encoded(json, key, "_base64", text, json_put_base64);
}

void json_items(struct json *json, const char *items, size_t size)
{
    if (size == 0)
        return;
    begin_item(json, NULL, "");
    put(json, items, size);
}
