/* json: see json.h. */
#include "server/log/json.h"

#include <stdbool.h>
#include <string.h>

#include "common/decimal.h"
#include "common/json.h"

enum { FIXED_BYTES = 400 }; /* more than a line has without its text */

static const char *level_name(const struct log_description *description)
{
    switch (log_severity(description)) {
    case LOG_SEVERITY_ERROR:
        return "error";
    case LOG_SEVERITY_INFO:
        return "info";
    default:
        return "debug";
    }
}

size_t log_json_room(const struct log_record *record)
{
    return FIXED_BYTES + JSON_ESCAPED_BYTES * record->size;
}

/* ---- texts ---- */

/* The size of a text that was cut, without the part of a character at its end. */
static size_t without_part(const char *text, size_t size)
{
    size_t begin = size;
    while (begin > 0 && size - begin < 3 && ((unsigned char) text[begin - 1] & 0xc0) == 0x80)
        begin--;
    unsigned char first = begin > 0 ? (unsigned char) text[begin - 1] : 0;
    size_t length = first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
    return length > size - begin + 1 ? begin - 1 : size;
}

/* ---- keys ---- */

static char *put_key(char *at, const char *key, const char *suffix)
{
    at = stpcpy(at, ",\"");
    at = stpcpy(at, key);
    at = stpcpy(at, suffix);
    return stpcpy(at, "\":");
}

static char *put_string(char *at, const char *key, const char *text, size_t size, size_t whole_size)
{
    char *end = json_put_string(put_key(at, key, ""), text, whole_size);
    return end ? end : json_put_base64(put_key(at, key, "_base64"), text, size);
}

static char *put_number(char *at, const char *key, uint64_t number)
{
    at = put_key(at, key, "");
    return at + decimal_print(at, number);
}

static char *put_fields(char *at, const struct log_field *field, const struct log_record *record)
{
    struct log_value rest = {record->text, record->size};
    bool is_cut = record->full_size > record->size;
    for (; field->key; field++) {
        struct log_value value = log_take_value(&rest, field);
        size_t whole_size =
            is_cut && !field[1].key ? without_part(value.text, value.size) : value.size;
        if (field->kind == LOG_FIELD_NUMBER)
            at = mempcpy(put_key(at, field->key, ""), value.text, value.size);
        else if (value.size > 0 || field->kind == LOG_FIELD_TEXT)
            at = put_string(at, field->key, value.text, value.size, whole_size);
    }
    return is_cut ? put_number(at, "bytes", record->full_size) : at;
}

char *log_json_put(char *at, const struct log_record *record, struct log_stamp *stamp)
{
    const struct log_description *description = log_describe(record->event);
    at = log_stamp_put(stamp, stpcpy(at, "{\"time\":\""), record->time_ns);
    at = stpcpy(stpcpy(stpcpy(at, "\",\"level\":\""), level_name(description)), "\"");
    at = stpcpy(stpcpy(stpcpy(at, ",\"event\":\""), description->event), "\"");
    if (record->session)
        at = put_number(at, "session", record->session);
    return stpcpy(put_fields(at, description->fields, record), "}");
}
