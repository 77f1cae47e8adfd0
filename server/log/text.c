/*
 * text: see text.h.
 */
#include "server/log/text.h"

#include <string.h>

#include "common/decimal.h"
#include "common/escape.h"

enum { FIXED_BYTES = 200 }; /* more than a line has without its text */

static char *put_number(char *at, uint64_t number) { return at + decimal_print(at, number); }

/* Many of them are empty. */
static inline char *put_words(char *at, const struct log_value *words)
{
    return words->size > 0 ? mempcpy(at, words->text, words->size) : at;
}

size_t log_text_room(const struct log_record *record)
{
    return FIXED_BYTES + ESCAPE_BYTE_SIZE * record->size;
}

static char *put_fields(char *at, const struct log_field *field, const struct log_record *record)
{
    struct log_value rest = {record->text, record->size};
    for (; field->key; field++) {
        struct log_value value = log_take_value(&rest, field);
        if (value.size == 0 && field->kind == LOG_FIELD_OPTIONAL)
            continue;
        at = put_words(at, &field->lead);
        at = escape_line(value.text, value.size, at);
    }
    return at;
}

char *log_text_put(char *at, const struct log_record *record)
{
    const struct log_description *description = log_describe(record->event);
    if (record->session) {
        *at++ = '[';
        at = put_number(at, record->session);
        *at++ = ']';
        *at++ = ' ';
    }
    at = put_words(at, &description->before);
    at = put_fields(at, description->fields, record);
    if (record->full_size > record->size) {
        at = stpcpy(at, "... (");
        at = put_number(at, record->full_size);
        at = stpcpy(at, " bytes)");
    }
    return put_words(at, &description->after);
}
